"""A partition of a slot, as the installer uses it: read, written at a place, flushed, and read back from the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from appliance.verity import BLOCK_BYTES
from chain.errors import Faulty, Refused

READ_BYTES: Final = 256 * BLOCK_BYTES


class Partition:
    """A block device, or in tests a file of its size. Use as a context manager.

    Opening one to write asks the kernel for it alone, so a partition that holds a mounted or verified file system is
    refused whatever its name says. Raises Faulty `update_failed` with the place when the disk does not do as asked.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        flags = (os.O_RDWR | os.O_EXCL if path.is_block_device() else os.O_RDWR) if writable else os.O_RDONLY
        try:
            self._descriptor = os.open(path, flags | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise Refused("update_not_now", f"{path} is in use: this system runs from it") from None
            raise Faulty("update_failed", f"opening {path}: {error.strerror}") from None

    def __enter__(self) -> Partition:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @property
    def size_bytes(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes, or as many as there are."""
        found = b""
        try:
            while len(found) < length:
                part = os.pread(self._descriptor, length - len(found), offset + len(found))
                if not part:
                    break
                found += part
        except OSError as error:
            raise Faulty("update_failed", f"reading {self.path} at {offset}: {error.strerror}") from None
        return found

    def blocks(self, count: int) -> Iterator[bytes]:
        """The first `count` blocks, or as many whole ones as there are."""
        for start in range(0, count * BLOCK_BYTES, READ_BYTES):
            data = self.read(start, min(READ_BYTES, count * BLOCK_BYTES - start))
            for at in range(0, len(data) - BLOCK_BYTES + 1, BLOCK_BYTES):
                yield data[at : at + BLOCK_BYTES]

    def write(self, offset: int, data: bytes) -> None:
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], offset + done)
        except OSError as error:
            raise Faulty("update_failed", f"writing {self.path} at {offset}: {error.strerror}") from None

    def sync(self) -> None:
        """What was written is on the disk afterwards, and is read from there, not from memory."""
        try:
            os.fsync(self._descriptor)
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise Faulty("update_failed", f"flushing {self.path}: {error.strerror}") from None
