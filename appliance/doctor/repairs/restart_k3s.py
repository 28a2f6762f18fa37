"""Restarts k3s and the container runtime that it brings; what runs in containers goes on meanwhile."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="restart-k3s",
    does="restarts k3s; containers go on",
    interrupts=False,
    per_hour=2,
    per_day=6,
)


def repair(subject: str, hands: Hands) -> str:
    return hands.do("restart-unit", unit=subject or "k3s.service")
