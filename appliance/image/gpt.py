"""GPT partition tables as bytes, without tools and without a device.

Source: UEFI specification 2.10, chapter 5 (GUID Partition Table), and the Discoverable Partitions Specification.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Final

SECTOR_BYTES: Final = 512
ALIGNED_SECTORS: Final = 2048  # 1 MiB
ENTRIES: Final = 128
ENTRY_BYTES: Final = 128
TABLE_SECTORS: Final = ENTRIES * ENTRY_BYTES // SECTOR_BYTES
NAME_CHARACTERS: Final = 36
MAX_SECTORS: Final = 1 << 48

ESP: Final = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
ROOT_X86_64: Final = uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
ROOT_VERITY_X86_64: Final = uuid.UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")
BASIC_DATA: Final = uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
NO_AUTO: Final = 1 << 63
"""Attribute: nobody mounts this partition by itself; our initramfs chooses the slot."""

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")


@dataclass(frozen=True, slots=True)
class Partition:
    """One entry; sizes and places are in sectors of 512 bytes."""

    label: str
    kind: uuid.UUID
    identity: uuid.UUID
    start: int
    sectors: int
    attributes: int = 0

    @property
    def offset_bytes(self) -> int:
        return self.start * SECTOR_BYTES

    @property
    def size_bytes(self) -> int:
        return self.sectors * SECTOR_BYTES

    def encode(self) -> bytes:
        name = self.label.encode("utf-16-le")
        assert len(name) <= 2 * NAME_CHARACTERS, f"the label {self.label!r} is too long"
        head = self.kind.bytes_le + self.identity.bytes_le
        place = struct.pack("<QQQ", self.start, self.start + self.sectors - 1, self.attributes)
        return head + place + name.ljust(2 * NAME_CHARACTERS, b"\0")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A partition to be placed."""

    label: str
    kind: uuid.UUID
    size_bytes: int
    attributes: int = 0


def place(wanted: list[Wanted], seed: uuid.UUID) -> list[Partition]:
    """Partitions one after the other, aligned to 1 MiB; their identities follow from the seed and their labels."""
    placed = []
    start = ALIGNED_SECTORS
    for each in wanted:
        sectors = -(-each.size_bytes // SECTOR_BYTES)
        sectors = -(-sectors // ALIGNED_SECTORS) * ALIGNED_SECTORS
        placed.append(Partition(each.label, each.kind, uuid.uuid5(seed, each.label), start, sectors, each.attributes))
        start += sectors
    return placed


def disk_sectors(partitions: list[Partition]) -> int:
    """The smallest disk for these partitions: the second table lies behind the last one."""
    end = partitions[-1].start + partitions[-1].sectors
    return -(-(end + TABLE_SECTORS + 1) // ALIGNED_SECTORS) * ALIGNED_SECTORS


def write(disk: BinaryIO, partitions: list[Partition], sectors: int, identity: uuid.UUID) -> None:
    """Write protective MBR, primary and backup table onto a disk of `sectors` sectors."""
    entries = b"".join(each.encode() for each in partitions).ljust(ENTRIES * ENTRY_BYTES, b"\0")
    last = sectors - 1
    disk.seek(0)
    disk.write(_protective_mbr(sectors))
    disk.write(_header(1, last, 2, entries, sectors, identity))
    disk.write(entries)
    disk.seek((last - TABLE_SECTORS) * SECTOR_BYTES)
    disk.write(entries)
    disk.write(_header(last, 1, last - TABLE_SECTORS, entries, sectors, identity))


def read(disk: BinaryIO) -> list[Partition]:
    """The partitions of a disk's primary table; empty if there is none that is whole."""
    disk.seek(SECTOR_BYTES)
    header = disk.read(_HEADER.size)
    if len(header) < _HEADER.size or header[:8] != b"EFI PART":
        return []
    fields = _HEADER.unpack(header)
    blank = header[:16] + bytes(4) + header[20:]
    if zlib.crc32(blank) != fields[3] or fields[10] >= MAX_SECTORS:
        return []
    disk.seek(fields[10] * SECTOR_BYTES)
    entries = disk.read(ENTRIES * ENTRY_BYTES)
    if zlib.crc32(entries) != fields[13]:
        return []
    found = (_decode(entries[at : at + ENTRY_BYTES]) for at in range(0, len(entries), ENTRY_BYTES))
    return [each for each in found if each is not None]


def _decode(entry: bytes) -> Partition | None:
    if not any(entry[:16]):
        return None
    first, last, attributes = struct.unpack("<QQQ", entry[32:56])
    label = entry[56:].decode("utf-16-le", "replace").rstrip("\0")
    kind, identity = uuid.UUID(bytes_le=entry[:16]), uuid.UUID(bytes_le=entry[16:32])
    return Partition(label, kind, identity, first, last - first + 1, attributes)


def _header(own: int, other: int, table: int, entries: bytes, sectors: int, identity: uuid.UUID) -> bytes:
    first, last = 2 + TABLE_SECTORS, sectors - 2 - TABLE_SECTORS
    fields = (b"EFI PART", 0x10000, _HEADER.size, 0, 0, own, other, first, last)
    more = (identity.bytes_le, table, ENTRIES, ENTRY_BYTES, zlib.crc32(entries))
    blank = _HEADER.pack(*fields, *more)
    checksum = zlib.crc32(blank)
    return (blank[:16] + struct.pack("<I", checksum) + blank[20:]).ljust(SECTOR_BYTES, b"\0")


def _protective_mbr(sectors: int) -> bytes:
    covered = min(sectors - 1, 0xFFFFFFFF)
    entry = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, covered)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"
