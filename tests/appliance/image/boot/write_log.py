"""Every write of an emulated machine to its disk, in order, as QEMU's `blklogwrites` recorded it.

Format: the kernel's dm-log-writes. A superblock (magic, version, number of entries, sector size) fills the first sector
of the log; each entry is one sector of header (first sector, number of sectors, flags, bytes of data), then its data.
Source: the kernel's Documentation/admin-guide/device-mapper/log-writes.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAGIC = 0x6A736677736872
FLUSH, DISCARD = 1, 4
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")


@dataclass(frozen=True, slots=True)
class Write:
    """One entry: where on the disk (bytes), and where its data lie in the log. A flush without data has size 0."""

    number: int
    offset: int
    size: int
    flags: int
    data_at: int

    def touches(self, start: int, size: int) -> bool:
        """Whether it changes a byte of this part of the disk."""
        return self.size > 0 and self.offset < start + size and start < self.offset + self.size

    def apply(self, log: BinaryIO, disk: BinaryIO) -> None:
        """Do to `disk` what the machine did; a discard leaves the bytes, as a disk may."""
        if self.flags & DISCARD or not self.size:
            return
        log.seek(self.data_at)
        disk.seek(self.offset)
        disk.write(log.read(self.size))


def writes(path: Path) -> Iterator[Write]:
    """The entries that the log's superblock vouches for. Raises ValueError for a file that is no such log."""
    with path.open("rb") as log:
        magic, version, count, sector = _SUPER.unpack(log.read(_SUPER.size))
        if (magic, version) != (MAGIC, 1):
            raise ValueError(f"{path} is no log of writes")
        at = sector
        for number in range(count):
            log.seek(at)
            first, sectors, flags, _ = _ENTRY.unpack(log.read(_ENTRY.size))
            size = sectors * sector
            yield Write(number, first * sector, size, flags, at + sector)
            at += sector + (0 if flags & DISCARD else size)


def superblock(entries: int, sector: int = 512) -> bytes:
    """The first sector of a log with so many entries."""
    return _SUPER.pack(MAGIC, 1, entries, sector).ljust(sector, b"\0")


def blockdevs(disk: Path, log: Path) -> list[str]:
    """QEMU's words for a node `disk` whose writes are recorded in `log`."""
    log.touch()
    return [
        "-blockdev", f"driver=file,filename={disk},node-name=disk-file",
        "-blockdev", "driver=raw,file=disk-file,node-name=disk-raw",
        "-blockdev", f"driver=file,filename={log},node-name=log",
        "-blockdev", "driver=blklogwrites,file=disk-raw,log=log,node-name=disk",
    ]  # fmt: skip
