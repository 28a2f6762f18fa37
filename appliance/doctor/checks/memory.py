"""Whether programs wait for memory: the kernel's pressure stall information, as far as it keeps it."""

from __future__ import annotations

import re
from typing import Final

from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine

FULL_PERCENT: Final = 40.0
"""Of the last minute, in which every program that wanted to run waited for memory."""
LEAST_PART: Final = 50
"""Where there is no pressure information, less than a fiftieth of the memory available is short."""
_FULL = re.compile(r"^full .*\bavg60=(\d+(?:\.\d+)?)", re.MULTILINE)
_MEMINFO = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB", re.MULTILINE)


def check(machine: Machine) -> list[Finding]:
    found = _FULL.search(machine.text("proc/pressure/memory") or "")
    if found is not None:
        waited = float(found[1])
        said = f"programs waited for memory {waited:.0f} % of the last minute"
        return [problem("memory_short", said) if waited >= FULL_PERCENT else well(said)]
    amounts = {name: int(kib) for name, kib in _MEMINFO.findall(machine.text("proc/meminfo") or "")}
    if "MemTotal" not in amounts or "MemAvailable" not in amounts:
        return [unknown("the kernel does not tell how much memory is available")]
    said = f"{amounts['MemAvailable'] // 1024} of {amounts['MemTotal'] // 1024} MiB are available"
    short = amounts["MemAvailable"] * LEAST_PART < amounts["MemTotal"]
    return [problem("memory_short", said) if short else well(said)]
