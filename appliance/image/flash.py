"""Write an image onto a disk, and read it back: an owner must never find out at the machine that a card was bad."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import lzma
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from appliance.image import gpt
from appliance.image.disk import CONFIG_LABEL
from chain.errors import Faulty, Malformed, Refused

BLOCK_BYTES: Final = 4 * 1024 * 1024
HEAD_BYTES: Final = 1024 * 1024
"""The partition table and more: enough to know what the file is before anything is written."""
SLOTS: Final = (gpt.ROOT_X86_64, gpt.ROOT_VERITY_X86_64)
BLKFLSBUF: Final = 0x1261
BLKRRPART: Final = 0x125F

Progress = Callable[[int, int, str], None]
"""(bytes done, bytes in all, what is being done)."""


@dataclass(frozen=True, slots=True)
class Flashed:
    """`image_bytes` long is the image; `written_bytes` of it went to the disk and were read back equal."""

    image_bytes: int
    written_bytes: int
    partitions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the head of an image file says about the rest."""

    size_bytes: int
    partitions: tuple[gpt.Partition, ...]

    def may_skip(self, start: int, data: bytes) -> bool:
        """Zeros in a slot mean nothing: the boot loader finds a slot by its hash. Everything else counts."""
        inside = any(
            each.kind in SLOTS
            and each.offset_bytes <= start
            and start + len(data) <= each.offset_bytes + each.size_bytes
            for each in self.partitions
        )
        return inside and not any(data)


def flash(image: Path, device: Path, progress: Progress) -> Flashed:
    """Write `image` (`.img`, or `.img.xz`) onto `device`, wait until the disk has it, read it back and compare.

    Whoever calls has asked `disks.open_to_write`; here the kernel is asked once more, as it refuses a disk that anybody
    uses. Raises Malformed for a file that is no image, Refused `disk_refused`, Faulty `flash_failed`.
    """
    with _reading(image) as blocks:
        head = next(blocks, b"")
        plan = read_plan(image, head)
        with _exclusive(device) as disk:
            capacity = os.lseek(disk, 0, os.SEEK_END)
            if capacity < plan.size_bytes:
                raise Refused("disk_refused", f"{device} holds {capacity} bytes, the image has {plan.size_bytes}")
            try:
                written = _write(disk, head, blocks, plan, progress)
                _forget_old_table(disk, plan.size_bytes, capacity)
                _settle(disk)
                _compare(disk, written, plan, progress)
            except OSError as error:
                raise Faulty("flash_failed", f"writing {device}: {error.strerror}") from error
            with contextlib.suppress(OSError):  # the kernel reads the new table; a plain file has none to read
                fcntl.ioctl(disk, BLKRRPART)
    labels = tuple(each.label for each in plan.partitions)
    return Flashed(plan.size_bytes, sum(length for length, _ in written.values()), labels)


def read_plan(image: Path, head: bytes) -> Plan:
    """Raises Malformed when this is not the beginning of one of our images."""
    partitions = gpt.read(BytesIO(head))
    if CONFIG_LABEL not in {each.label for each in partitions}:
        raise Malformed("malformed", f"{image} is no dccn image: it has no partition {CONFIG_LABEL}")
    return Plan(gpt.disk_sectors(partitions) * gpt.SECTOR_BYTES, tuple(partitions))


def _write(
    disk: int, head: bytes, blocks: Iterator[bytes], plan: Plan, progress: Progress
) -> dict[int, tuple[int, bytes]]:
    """Place → (length, SHA-256) of every block that was written."""
    written: dict[int, tuple[int, bytes]] = {}
    at, block = 0, head
    while block:
        if at + len(block) > plan.size_bytes:
            raise Malformed("malformed", f"the image is longer than its partition table says, {plan.size_bytes} bytes")
        if not plan.may_skip(at, block):
            _put(disk, at, block)
            written[at] = (len(block), hashlib.sha256(block).digest())
        at += len(block)
        progress(at, plan.size_bytes, "writing")
        block = next(blocks, b"")
    if at != plan.size_bytes:
        raise Malformed("malformed", f"the image ends after {at} of {plan.size_bytes} bytes: fetch it again")
    return written


def _put(disk: int, at: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(disk, view, at)
        view, at = view[done:], at + done


def _forget_old_table(disk: int, image_bytes: int, capacity: int) -> None:
    """What stood on the disk before may have left its second partition table, which tools would offer to restore."""
    tail = min(HEAD_BYTES, capacity - image_bytes)
    if tail:
        _put(disk, capacity - tail, bytes(tail))


def _settle(disk: int) -> None:
    """On the medium, and out of this machine's memory, so that what is compared comes from the medium."""
    os.fsync(disk)
    os.posix_fadvise(disk, 0, 0, os.POSIX_FADV_DONTNEED)
    with contextlib.suppress(OSError):
        fcntl.ioctl(disk, BLKFLSBUF)


def _compare(disk: int, written: dict[int, tuple[int, bytes]], plan: Plan, progress: Progress) -> None:
    for at, (length, digest) in written.items():
        if hashlib.sha256(os.pread(disk, length, at)).digest() != digest:
            raise Faulty("flash_failed", f"the disk gave back other bytes than were written, at byte {at}")
        progress(at + length, plan.size_bytes, "reading back")


@contextlib.contextmanager
def _exclusive(device: Path) -> Iterator[int]:
    try:
        disk = os.open(device, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        raise Refused("disk_refused", f"{device} cannot be opened to write: {error.strerror}") from error
    try:
        yield disk
    finally:
        os.close(disk)


@contextlib.contextmanager
def _reading(image: Path) -> Iterator[Iterator[bytes]]:
    """The image's bytes: a first block of `HEAD_BYTES`, then blocks of `BLOCK_BYTES`, unpacked where it is packed."""
    try:
        file = image.open("rb")
    except OSError as error:
        raise Malformed("usage", f"reading {image}: {error.strerror}") from error
    with file:
        if image.suffix != ".xz":
            yield _blocks(file.read)
            return
        with lzma.open(file) as unpacked:
            yield _unpacked(image, unpacked.read)


def _unpacked(image: Path, read: Callable[[int], bytes]) -> Iterator[bytes]:
    try:
        yield from _blocks(read)
    except (lzma.LZMAError, EOFError) as error:
        raise Malformed("malformed", f"unpacking {image}: {error}; fetch it again") from error


def _blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    size = HEAD_BYTES
    while block := read(size):
        yield block
        size = BLOCK_BYTES
