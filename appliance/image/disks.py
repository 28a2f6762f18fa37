"""The disks of the machine at which an owner flashes, and why one of them must not be written.

Reads /sys and /proc below an injected root, so that every reason can be shown without owning such a disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.errors import Refused

SECTOR_BYTES: Final = 512
SYSTEM_PLACES: Final = frozenset({"/", "/usr", "/var", "/boot", "/boot/efi", "/efi", "/home"})
NO_DISKS: Final = ("ram", "zram", "dm-", "md", "sr", "fd")
"""Kernel names of block devices that are not something to flash; loop devices are, since tests write to them."""


@dataclass(frozen=True, slots=True)
class Disk:
    """One whole disk. `uses` says what this machine does with it or its partitions; empty: nothing."""

    path: Path
    size_bytes: int
    model: str | None
    is_removable: bool
    is_read_only: bool
    uses: tuple[str, ...]

    @property
    def refusal(self) -> str | None:
        """Why it must not be written; None: it may be."""
        if self.is_read_only:
            return "it is read-only"
        system = [use for use in self.uses if use.removeprefix("mounted at ") in SYSTEM_PLACES]
        if system:
            return f"this machine runs from it ({', '.join(system)})"
        return f"it is in use ({', '.join(self.uses)}); unmount it first" if self.uses else None


def found(root: Path = Path("/")) -> list[Disk]:
    """Every disk that has a medium, by name."""
    folders = sorted((root / "sys/block").iterdir()) if (root / "sys/block").is_dir() else []
    disks = [_disk(folder, root) for folder in folders if not folder.name.startswith(NO_DISKS)]
    return [disk for disk in disks if disk.size_bytes]


def open_to_write(path: Path, root: Path = Path("/")) -> Disk:
    """The disk behind a path such as `/dev/sdb`. Raises Refused `disk_refused` when it must not be written."""
    name = path.resolve().name
    if (root / "sys/class/block" / name / "partition").exists():
        raise Refused("disk_refused", f"{path} is one partition; an image takes the whole disk")
    folder = root / "sys/block" / name
    if not folder.is_dir():
        raise Refused("disk_refused", f"{path} is no disk of this machine")
    disk = _disk(folder, root)
    if disk.refusal is not None:
        raise Refused("disk_refused", f"{path} is not written: {disk.refusal}")
    return disk


def _disk(folder: Path, root: Path) -> Disk:
    nodes = list(_nodes(folder, root))
    numbers = {_text(node / "dev"): node.name for node in nodes}
    names = {f"/dev/{node.name}" for node in nodes}
    uses = [*_mounts(root, numbers, names), *_swaps(root, names)]
    if not uses:
        # Claimed but not mounted: a volume group, a RAID, an opened encrypted disk.
        uses = [f"part of {node.name}" for node in nodes if node.name.startswith(("dm-", "md"))]
    return Disk(
        path=Path("/dev", folder.name),
        size_bytes=int(_text(folder / "size") or 0) * SECTOR_BYTES,
        model=_text(folder / "device/model"),
        is_removable=_text(folder / "removable") == "1",
        is_read_only=_text(folder / "ro") == "1",
        uses=tuple(dict.fromkeys(uses)),
    )


def _nodes(folder: Path, root: Path) -> Iterator[Path]:
    """The disk, its partitions, and whatever the kernel built on them, at any depth."""
    waiting, seen = [folder], set()
    while waiting:
        node = waiting.pop()
        if node.name in seen:
            continue
        seen.add(node.name)
        yield node
        waiting += [child for child in sorted(node.iterdir()) if (child / "partition").exists()]
        holders = node / "holders"
        if holders.is_dir():
            waiting += [root / "sys/class/block" / holder.name for holder in sorted(holders.iterdir())]


def _mounts(root: Path, numbers: dict[str | None, str], names: set[str]) -> Iterator[str]:
    """Some file systems (btrfs) hide the device's number, and name the device instead."""
    for line in (_text(root / "proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        fields, source = before.split(), after.split()
        if len(fields) >= 5 and (fields[2] in numbers or (len(source) >= 2 and source[1] in names)):
            yield f"mounted at {_unescaped(fields[4])}"


def _swaps(root: Path, names: set[str]) -> Iterator[str]:
    for line in (_text(root / "proc/swaps") or "").splitlines()[1:]:
        if line.split()[0] in names:
            yield "swap"


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), path)


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip() or None
    except OSError:
        return None
