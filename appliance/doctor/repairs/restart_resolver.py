"""Restarts the program that looks names up, which forgets what it believes of its servers."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="restart-resolver",
    does="restarts the look-up of names",
    interrupts=False,
    per_hour=2,
    per_day=12,
    repeatable=True,
)


def repair(_subject: str, hands: Hands) -> str:
    return hands.do("restart-unit", unit="systemd-resolved.service")
