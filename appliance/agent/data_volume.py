"""Which volume holds this machine's data: what a proof of wipe names."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.reset.wipe import Method

SEALED: Final = "sealed"


@dataclass(frozen=True, slots=True)
class DataVolume:
    """`method` is how a factory reset will wipe it; `uuid` 16 bytes, None where the volume names none."""

    method: Method
    uuid: bytes | None


def data_volume(root: Path = Path("/")) -> DataVolume:
    """By what the boot noted in /run and by udev's links in /dev, which everybody may read."""
    try:
        sealed = (root / "run/dccn/storage").read_text("ascii").strip() == SEALED
    except (OSError, UnicodeDecodeError):
        sealed = False
    return DataVolume(Method.keys_destroyed if sealed else Method.overwritten, _uuid(root / "dev/disk"))


def _uuid(disk: Path) -> bytes | None:
    """The name under by-uuid that leads to the same device as the partition's label."""
    device = (disk / "by-partlabel/data").resolve()
    try:
        names = [link.name for link in (disk / "by-uuid").iterdir() if link.resolve() == device]
        return uuid.UUID(names[0]).bytes
    except (OSError, IndexError, ValueError):
        return None
