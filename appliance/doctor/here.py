"""The machine on which this program runs, as the checks want to see it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.agent.status import Status
from appliance.doctor.machine import Machine
from chain.files import read

MAX_STATUS_BYTES: Final = 256 * 1024
STATUS: Final = "status.json"
PLACES: Final = (Path("/run/dccn-face"), Path("/var/lib/dccn-agent"))
"""Where an agent's status may be: the image's face, or the home of deploy/dccn-agent.service."""


def this_machine(*, data: Path, agent: Path | None = None) -> Machine:
    """`data` is on the file system that must have room; `agent` is the folder with an agent's status, if known."""
    places = (agent,) if agent is not None else PLACES
    status = next((found for place in places if (found := status_in(place)) is not None), None)
    machine = Machine(data=data, nvml=_nvml_once(), status=status)
    return replace(machine, boot=machine.text("proc/sys/kernel/random/boot_id") or "")


def boot_s() -> int:
    """Seconds since this boot began, through suspend too."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))


def status_in(folder: Path) -> Status | None:
    """What an agent says of itself; None where no agent's status is, or none that can be read."""
    try:
        data = read(folder / STATUS, MAX_STATUS_BYTES)
        return msgspec.json.decode(data, type=Status) if data else None
    except Exception:  # whatever is wrong with that file, the agent's own check says that nothing is known
        return None


def _nvml_once() -> Any:
    """Loads NVML at the first look and not before: most machines have none."""
    found: list[Any] = []

    def nvml() -> Any | None:
        if not found:
            found.append(_load())
        return found[0]

    return nvml


def _load() -> Any | None:
    import ctypes

    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml
