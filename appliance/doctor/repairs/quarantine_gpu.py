"""Keeps a card from all work, so that the machine's others go on; the hub learns it with the problem."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="quarantine-gpu",
    does="keeps the card from all work until it has been well for a day",
    interrupts=True,
    per_hour=2,
    per_day=4,
    per_subject=True,
)


def repair(subject: str, hands: Hands) -> str:
    return hands.do("gpu-quarantine", card=subject, on=True)
