"""The data partition of a machine that is switched off, from outside: e2fsprogs on a loop device, nothing mounted."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.image import gpt

FILLER = "filler"
BLOCK_BYTES = 4096


def fill(disk: Path) -> int:
    """Leaves no free block, root's reserve included; returns how many were free."""
    with _checked(disk) as device, tempfile.NamedTemporaryFile() as source:
        free = _free_blocks(device)
        for _ in range(-(-free * BLOCK_BYTES // (1 << 20))):
            source.write(b"full" * (1 << 18))
        source.flush()
        # Says that it could not write all of it, which is the purpose.
        _run("debugfs", "-w", "-R", f"write {source.name} {FILLER}", device)
        assert _free_blocks(device) == 0
    return free


def empty(disk: Path) -> None:
    """Takes away what `fill` wrote."""
    with _checked(disk) as device:
        _run("debugfs", "-w", "-R", f"rm {FILLER}", device)
        assert _free_blocks(device) > 0


@contextmanager
def _checked(disk: Path) -> Iterator[str]:
    """The partition as a device, after what a power cut left in its journal was replayed."""
    with disk.open("rb") as file:
        (data,) = [each for each in gpt.read(file) if each.label == "data"]
    place = ("--offset", str(data.offset_bytes), "--sizelimit", str(data.size_bytes))
    device = _run("losetup", "--find", "--show", *place, str(disk)).strip()
    try:
        done = subprocess.run(["e2fsck", "-fy", device], capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), done.stdout
        yield device
    finally:
        _run("losetup", "--detach", device)


def _free_blocks(device: str) -> int:
    said = _run("dumpe2fs", "-h", device)
    return next(int(line.split(":")[1]) for line in said.splitlines() if line.startswith("Free blocks:"))


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
