"""Wiping one block device, and saying honestly how.

A sealed volume (LUKS2) loses the only copies of its keys: its key slots are destroyed, the whole header, with the blob
that the TPM opens, is overwritten; what is left cannot be decrypted by anybody. A plain volume has to lose its content:
the device is told to discard all of it, and where reading back shows that this did not bring zeros, all of it is
overwritten with zeros. What a flash controller keeps in cells that no command reads, no program can know.
"""

from __future__ import annotations

import fcntl
import os
import random
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from appliance.reset.volume import HEAD_BYTES, Kind, read
from chain.errors import Faulty

MIB: Final = 1 << 20
HEADER_BYTES: Final = 32 * MIB
"""More than a LUKS2 header with all its key slots (16 MiB), and a file system's first metadata."""
STEP_BYTES: Final = 256 * MIB
WRITE_BYTES: Final = 4 * MIB
SAMPLES: Final = 1024
SAMPLE_BYTES: Final = 4096
# From linux/fs.h; each takes two unsigned 64-bit numbers, the first byte and how many.
BLKDISCARD, BLKSECDISCARD, BLKZEROOUT = 0x1277, 0x127D, 0x127F

Progress = Callable[[int, int], None]


class Method(StrEnum):
    """How the data was made unreadable. The words go to the owner and into the proof of wipe."""

    keys_destroyed = "keys-destroyed"
    discarded = "discarded"
    overwritten = "overwritten"
    nothing = "nothing-there"


@dataclass(frozen=True, slots=True)
class Wiped:
    """`volume` is the UUID (16 bytes) of what was there, if it had one."""

    method: Method
    size_bytes: int
    volume: bytes | None


def wipe(device: Path, progress: Progress = lambda _done, _all: None) -> Wiped:
    """Wipe all of `device` (a block device, or a file). Begins anew whenever it is called again.

    Raises Faulty `wipe_failed`; then the volume's first bytes are not zeros yet, or nothing was changed.
    """
    try:
        with device.open("rb") as file:
            volume = read(file.read(HEAD_BYTES))
        if volume.kind is Kind.sealed:
            _destroy_key_slots(device)
        with _opened(device) as (descriptor, size):
            if volume.kind is Kind.sealed:
                _overwrite_header(device, descriptor, size)
                return Wiped(Method.keys_destroyed, size, volume.uuid)
            return Wiped(_empty(descriptor, size, progress), size, volume.uuid)
    except OSError as error:
        raise Faulty("wipe_failed", f"wiping {device}: {error.strerror or error}") from None


def _destroy_key_slots(device: Path) -> None:
    """By cryptsetup, which knows where every slot is and overwrites it as often as its format wants."""
    done = subprocess.run(
        ["cryptsetup", "luksErase", "--batch-mode", str(device)], capture_output=True, timeout=600, check=False
    )
    if done.returncode not in (0, 1):  # 1: a header so damaged that it has no key slots to erase
        words = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise Faulty("wipe_failed", f"destroying the key slots of {device}: {words}")


def _overwrite_header(device: Path, descriptor: int, size: int) -> None:
    header = min(HEADER_BYTES, size)
    # From the end, so that after a power cut there is still a header that the next boot takes for one, and goes on.
    for start in reversed(range(0, header, WRITE_BYTES)):
        _write_zeros(descriptor, start, min(WRITE_BYTES, header - start))
    os.fsync(descriptor)
    _discard(descriptor, size)
    if not _is_zero(descriptor, ((start, SAMPLE_BYTES) for start in range(0, header, SAMPLE_BYTES))):
        raise Faulty("wipe_failed", f"{device} still has what was overwritten: the disk does not take writes")


def _empty(descriptor: int, size: int, progress: Progress) -> Method:
    if _discard(descriptor, size) and _is_zero(descriptor, _samples(size)):
        _write_zeros(descriptor, 0, min(HEADER_BYTES, size))
        os.fsync(descriptor)
        return Method.discarded
    # The beginning comes last: as long as it is there, the next boot sees a volume that is still to be wiped.
    starts = [*range(STEP_BYTES, size, STEP_BYTES), 0]
    for number, start in enumerate(starts):
        _write_zeros(descriptor, start, min(STEP_BYTES, size - start))
        os.fsync(descriptor)
        progress(number + 1, len(starts))
    return Method.overwritten


def _discard(descriptor: int, size: int) -> bool:
    """Tell the device that nothing here is needed any more; False where it does not take that."""
    for request in (BLKSECDISCARD, BLKDISCARD):
        try:
            fcntl.ioctl(descriptor, request, struct.pack("QQ", 0, size))
            return True
        except OSError:
            continue
    return False


def _write_zeros(descriptor: int, start: int, length: int) -> None:
    """By the device's own command where it has one, else byte by byte."""
    try:
        fcntl.ioctl(descriptor, BLKZEROOUT, struct.pack("QQ", start, length))
        return
    except OSError:
        pass
    zeros = bytes(min(WRITE_BYTES, length))
    written = 0
    while written < length:
        written += os.pwrite(descriptor, zeros[: length - written], start + written)


def _samples(size: int) -> Iterator[tuple[int, int]]:
    """The beginning and the end, and pages anywhere between: data that is still there is hardly missed."""
    for start in (0, max(0, size - HEADER_BYTES)):
        yield from ((at, SAMPLE_BYTES) for at in range(start, min(start + HEADER_BYTES, size), SAMPLE_BYTES))
    pages = max(1, size // SAMPLE_BYTES)
    yield from ((random.randrange(pages) * SAMPLE_BYTES, SAMPLE_BYTES) for _ in range(SAMPLES))


def _is_zero(descriptor: int, places: Iterator[tuple[int, int]]) -> bool:
    # What was read before the discard must not be answered from memory.
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return not any(any(os.pread(descriptor, length, start)) for start, length in places)


@contextmanager
def _opened(device: Path) -> Iterator[tuple[int, int]]:
    """The device's descriptor and its size in bytes."""
    # O_EXCL on a block device: refused while anything has it mounted or mapped.
    exclusively = os.O_EXCL if device.is_block_device() else 0
    descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC | exclusively)
    try:
        yield descriptor, os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)
