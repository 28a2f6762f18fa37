"""Whether the file system with the data has room for bytes and for files."""

from __future__ import annotations

from typing import Final

from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine

GIB: Final = 1 << 30
LEAST_BYTES: Final = GIB
LEAST_PART: Final = 20
"""Less than a twentieth is full, on disks of less than twenty GiB."""


def check(machine: Machine) -> list[Finding]:
    where = str(machine.data)
    try:
        found = machine.room(machine.data)
    except OSError as error:
        return [unknown(f"the file system of {where} does not answer: {error.strerror}")]
    said = f"{found.free_bytes / GIB:.1f} of {found.size_bytes / GIB:.1f} GiB are free where {where} is"
    if found.free_bytes < min(LEAST_BYTES, found.size_bytes // LEAST_PART):
        return [problem("disk_full", said, where)]
    if found.inodes and found.free_inodes < found.inodes // LEAST_PART:
        return [problem("disk_full", f"{found.free_inodes} of {found.inodes} inodes are free where {where} is", where)]
    return [well(said)]
