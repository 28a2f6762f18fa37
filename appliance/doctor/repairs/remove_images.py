"""Removes container images that nothing uses; what needs one again fetches it again."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="remove-images",
    does="removes container images that nothing uses",
    interrupts=False,
    per_hour=1,
    per_day=6,
    repeatable=True,
)


def repair(_subject: str, hands: Hands) -> str:
    return hands.do("remove-images")
