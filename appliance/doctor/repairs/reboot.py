"""Starts the whole machine anew: the last step, and never for a network."""

from __future__ import annotations

from appliance.doctor.repair import Hands, Repair

REPAIR = Repair(
    name="reboot",
    does="starts the machine anew",
    interrupts=True,
    per_hour=1,
    per_day=2,
)


def repair(subject: str, hands: Hands) -> str:
    return hands.do("reboot", reason=f"the doctor's last step for {subject or 'this machine'}")
