"""Resets one card; the driver refuses that while anything uses it."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="reset-gpu",
    does="resets the card",
    interrupts=True,
    per_hour=2,
    per_day=6,
    per_subject=True,
)


def repair(subject: str, hands: Hands) -> str:
    return hands.do("gpu-reset", gpu=hands.uuid(subject))
