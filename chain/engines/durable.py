"""Two ways to put bytes on a disk so that a crash leaves the old or the new, and never nothing."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chain.errors import Faulty
from chain.files import as_faulty, sync_folder

Sync = Callable[[int], None]
MAGIC = b"dccn1"
HEAD_BYTES = 8


class AlternatingFile:
    """Whole contents in two files written in turn: a torn write spoils one of them, and the other is the state before.

    Each file is a frame whose payload begins with a counter (u64be); the higher intact counter wins.
    """

    def __init__(self, path: Path, sync: Sync = os.fdatasync) -> None:
        """Raises Faulty `state_corrupt` when both were written and none is intact.

        The very first write goes to the first file; torn, it leaves the second one empty, and nothing as before.
        """
        self._paths = (path.with_name(path.name + ".a"), path.with_name(path.name + ".b"))
        self._sync = sync
        found = [(_read_slot(slot), index) for index, slot in enumerate(self._paths)]
        intact = [(counter_and_content, index) for counter_and_content, index in found if counter_and_content]
        if not intact and self._paths[1].exists() and self._paths[1].stat().st_size:
            raise Faulty("state_corrupt", f"neither {self._paths[0]} nor {self._paths[1]} is intact")
        (self._counter, self.content), self._current = max(intact) if intact else ((0, None), 1)
        with disk_errors(f"opening {path}"):
            self._files = [os.open(slot, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for slot in self._paths]
            sync_folder(path.parent)

    content: bytes | None

    def write(self, content: bytes) -> None:
        """Durable when it returns."""
        self._counter += 1
        self._current = 1 - self._current
        file = self._files[self._current]
        data = frame(self._counter.to_bytes(8, "big") + content)
        with disk_errors(f"writing {self._paths[self._current]}"):
            write_all(file, data, 0)
            os.ftruncate(file, len(data))
            self._sync(file)
        self.content = content

    def close(self) -> None:
        for file in self._files:
            os.close(file)


def _read_slot(path: Path) -> tuple[int, bytes] | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    payload = next(frames(data), None)
    return None if payload is None else (int.from_bytes(payload[:8], "big"), payload[8:])


def frame(payload: bytes) -> bytes:
    """u32be length, u32be CRC-32, payload."""
    return len(payload).to_bytes(4, "big") + zlib.crc32(payload, len(payload)).to_bytes(4, "big") + payload


def frames(data: bytes) -> Iterator[bytes]:
    """The payloads up to the first frame that is torn."""
    at = 0
    while at + HEAD_BYTES <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        payload = data[at + HEAD_BYTES : at + HEAD_BYTES + length]
        checksum = int.from_bytes(data[at + 4 : at + HEAD_BYTES], "big")
        if not length or len(payload) < length or zlib.crc32(payload, length) != checksum:
            return
        yield payload
        at += HEAD_BYTES + length


def write_all(file: int, data: bytes, offset: int) -> None:
    """pwrite until everything is written."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Says a full disk in our words."""
    try:
        yield
    except OSError as error:
        raise as_faulty(error, doing) from error
