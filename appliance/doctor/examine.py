"""All checks, in the order in which a person would look: the parts first, then what runs on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from appliance.doctor.checks import (
    clock,
    containerd,
    disk_full,
    disk_worn,
    gpu_errors,
    gpu_lost,
    k3s,
    memory,
    network,
    overheating,
    spool,
)
from appliance.doctor.findings import Finding, unknown
from appliance.doctor.machine import Machine

CHECKS: Final[dict[str, Callable[[Machine], list[Finding]]]] = {
    "gpu_lost": gpu_lost.check,
    "gpu_errors": gpu_errors.check,
    "overheating": overheating.check,
    "disk_full": disk_full.check,
    "disk_worn": disk_worn.check,
    "memory": memory.check,
    "clock": clock.check,
    "network": network.check,
    "k3s": k3s.check,
    "containerd": containerd.check,
    "spool": spool.check,
}


def examine(machine: Machine) -> Iterator[tuple[str, Finding]]:
    """(name of the check, finding), as they are found. A check that breaks has found nothing out."""
    for name, check in CHECKS.items():
        try:
            yield from ((name, finding) for finding in check(machine))
        except Exception as error:  # one broken check must not hide what the others see
            yield name, unknown(f"this check broke: {type(error).__name__}: {error}")
