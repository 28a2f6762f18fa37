"""Removes the older half of the system's log."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="vacuum-journal",
    does="removes old logs",
    interrupts=False,
    per_hour=1,
    per_day=6,
)


def repair(_subject: str, hands: Hands) -> str:
    return hands.do("vacuum-journal")
