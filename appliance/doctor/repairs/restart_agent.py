"""Restarts the agent, should its own watchdog not have done so."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="restart-agent",
    does="restarts the agent",
    interrupts=False,
    per_hour=2,
    per_day=8,
    repeatable=True,
)


def repair(_subject: str, hands: Hands) -> str:
    return hands.do("restart-unit", unit="dccn-agent.service")
