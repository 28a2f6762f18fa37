"""Takes back every clock and power setting of a card: an overclock that its owner tried is the usual reason."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="reset-clocks",
    does="gives the card its own clocks and power limit back",
    interrupts=False,
    per_hour=4,
    per_day=12,
    per_subject=True,
)


def repair(subject: str, hands: Hands) -> str:
    return hands.do("gpu-clocks", gpu=hands.uuid(subject))
