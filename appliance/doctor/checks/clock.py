"""Whether the machine's clock agrees with the hub's, and whether a time server keeps it."""

from __future__ import annotations

from appliance.agent.clock import TOLERANCE_MS
from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine

SYNCHRONISED = ("timedatectl", "show", "--property=NTPSynchronized", "--value")


def check(machine: Machine) -> list[Finding]:
    return [_against_the_hub(machine), _kept(machine)]


def _against_the_hub(machine: Machine) -> Finding:
    offset_ms = machine.status.clock_offset_ms if machine.status is not None else None
    if offset_ms is None:
        return unknown("nobody has compared the clock with the hub's", "clock_off")
    if abs(offset_ms) > TOLERANCE_MS:
        side = "behind" if offset_ms > 0 else "ahead of"
        return problem("clock_off", f"the clock is {abs(offset_ms) / 1000:.0f} s {side} the hub's")
    return well("the clock agrees with the hub's")


def _kept(machine: Machine) -> Finding:
    said = machine.ask(SYNCHRONISED).out.strip()
    if said == "no":
        return problem("clock_unsynchronised", "the clock is not synchronised")
    if said == "yes":
        return well("a time server keeps the clock")
    return unknown("timedatectl cannot tell who keeps the clock", "clock_unsynchronised")
