"""Has the clock set anew: the time service asks its servers again, and at once."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="set-clock",
    does="has the time servers asked again",
    interrupts=False,
    per_hour=2,
    per_day=12,
    repeatable=True,
)


def repair(_subject: str, hands: Hands) -> str:
    return hands.do("restart-unit", unit="systemd-timesyncd.service")
