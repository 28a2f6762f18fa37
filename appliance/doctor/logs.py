"""The last lines of the log that tells more about a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from appliance.doctor.history import MAX_LOG_LINES, Problem
from appliance.doctor.machine import Answer
from appliance.doctor.problems import KINDS

_KERNEL: Final = "--dmesg"
SOURCES: Final[dict[str, str]] = {
    "gpu_lost": _KERNEL,
    "gpu_errors": _KERNEL,
    "overheating": _KERNEL,
    "disk_full": _KERNEL,
    "disk_worn": _KERNEL,
    "memory": _KERNEL,
    "clock": "--unit=systemd-timesyncd.service",
    "network": "--unit=systemd-networkd.service",
    "k3s": "--unit=k3s.service",
    "containerd": "--unit=k3s.service",
    "spool": "--unit=dccn-agent.service",
}
"""By the check that finds the problem."""


def last_lines(problem: Problem, ask: Callable[[Sequence[str]], Answer]) -> list[str]:
    """Empty when there is no journal to read; nothing in a line steers a terminal."""
    source = SOURCES[KINDS[problem.kind].check]
    answer = ask(["journalctl", source, "--no-pager", "--quiet", "--output=short-iso", f"--lines={MAX_LOG_LINES}"])
    if answer.code != 0:
        return []
    return ["".join(one if one.isprintable() else "?" for one in line) for line in answer.out.splitlines()]
