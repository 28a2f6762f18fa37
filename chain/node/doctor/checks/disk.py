"""Whether the home's file system has room, can be written, and is not one that forgets."""

from __future__ import annotations

import tempfile

import psutil

from chain.node.doctor.patient import Finding, Patient, ok, problem, warning

GIB = 1 << 30
LEAST_BYTES, LOW_PERCENT = GIB, 90
FORGETFUL = ("tmpfs", "ramfs", "overlay")


def check(patient: Patient) -> list[Finding]:
    return [_room(patient), _writable(patient), _lasting(patient)]


def _room(patient: Patient) -> Finding:
    path, usage = patient.home.path, psutil.disk_usage(str(patient.home.path))
    said = f"{usage.free / GIB:.1f} GiB free where {path} is, {usage.percent:.0f} % used"
    advice = "free some space, lower storage.retained_blocks, or move the home to a larger disk"
    if usage.free < LEAST_BYTES:
        return problem(said, advice)
    return warning(said, advice) if usage.percent > LOW_PERCENT else ok(said)


def _writable(patient: Patient) -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=patient.home.data, prefix=".doctor-") as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return problem(f"{patient.home.data} cannot be written: {error.strerror}", "look at its owner, mode and mount")
    return ok(f"{patient.home.data} can be written")


def _lasting(patient: Patient) -> Finding:
    home = patient.home.path.resolve()
    mounts = [each for each in psutil.disk_partitions(all=True) if home.is_relative_to(each.mountpoint)]
    kind = max(mounts, key=lambda each: len(each.mountpoint)).fstype if mounts else ""
    if kind in FORGETFUL:
        return warning(
            f"{home} is on {kind}, which may not outlive a restart of the machine or container",
            "keep the home on a disk: a key that forgets what it signed may sign twice",
        )
    return ok(f"{home} is on {kind or 'a file system of its own'}")
