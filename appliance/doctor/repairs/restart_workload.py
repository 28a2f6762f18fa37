"""The mildest thing to do about a card or about memory: let go of what uses it, and start that again."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="restart-workload",
    does="restarts the workloads of this machine",
    interrupts=True,
    per_hour=2,
    per_day=6,
)


def repair(_subject: str, hands: Hands) -> str:
    return hands.do("restart-workload")
