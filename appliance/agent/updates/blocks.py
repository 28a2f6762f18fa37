"""A part of a release as a list of blocks: which are here already, which must come, and whether one is the right one.

The digests are the leaves of the part's dm-verity tree. A block that is wanted may lie anywhere in what this machine
has: in the running slot, or in the idle one from an installation that was cut short. Nothing else says how far that
came, since nothing else would be true after a power cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from appliance.verity import BLOCK_BYTES, DIGEST_BYTES
from chain.errors import DccnError, Refused

MOST_BLOCKS_AT_ONCE: Final = 256
"""What is read, fetched or written in one go: 1 MiB."""
GAP_BLOCKS: Final = 2
"""So many blocks that are here already are fetched again rather than cutting one request into two."""
PREFIX_BYTES: Final = 8
"""Enough of a digest to look for a block; what is found is compared whole."""

Write = Callable[[int, bytes], None]
Read = Callable[[int, int], bytes]
"""(offset, length) → bytes."""


@dataclass(frozen=True, slots=True)
class BlockList:
    """`digests` are 32 bytes each; `length` in bytes, the last block may be a part of one, filled up with zeros."""

    digests: bytes
    salt: bytes
    length: int

    @property
    def count(self) -> int:
        return len(self.digests) // DIGEST_BYTES

    def digest(self, number: int) -> bytes:
        return self.digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]

    def digest_of(self, block: bytes) -> bytes:
        return hashlib.sha256(self.salt + block.ljust(BLOCK_BYTES, b"\0")).digest()

    def is_right(self, number: int, block: bytes) -> bool:
        return self.digest_of(block) == self.digest(number)

    def in_place(self, blocks: Iterable[bytes]) -> bytearray:
        """One byte per block: 1 where `blocks`, in order, has the right one at its place already."""
        found = bytearray(self.count)
        empty, of_empty = bytes(BLOCK_BYTES), self.digest_of(b"")  # a slot that was never written is all of these
        for number, block in zip(range(self.count), blocks, strict=False):
            found[number] = (of_empty if block == empty else self.digest_of(block)) == self.digest(number)
        return found

    def elsewhere(self, blocks: Iterable[bytes], done: bytearray) -> dict[int, int]:
        """Where `blocks` has those that are not done: number wanted → number there."""
        waiting: dict[bytes, list[int]] = {}
        for number in range(self.count):
            if not done[number]:
                waiting.setdefault(self.digest(number)[:PREFIX_BYTES], []).append(number)
        found: dict[int, int] = {}
        for place, block in enumerate(blocks):
            digest = self.digest_of(block)
            for number in waiting.get(digest[:PREFIX_BYTES], ()):
                if number not in found and self.digest(number) == digest:
                    found[number] = place
        return found

    def copy(self, places: dict[int, int], read: Read, write: Write, done: bytearray) -> None:
        """Copy blocks from where `elsewhere` found them, in a slot that nobody writes."""
        batch = _Batch(write, done)
        for number, place in sorted(places.items()):
            batch.add(number, read(place * BLOCK_BYTES, BLOCK_BYTES))
        batch.flush()

    def fetch(self, pieces: Callable[[int, int], Iterator[bytes]], write: Write, done: bytearray) -> int:
        """Fetch what is not done; `pieces` gives (offset, length) of the part. Returns how many bytes came.

        Raises Refused `update_untrusted` at the first block that is not the right one; those before it are written.
        """
        fetched = 0
        for first, last in list(runs(done)):
            offset, end = first * BLOCK_BYTES, min((last + 1) * BLOCK_BYTES, self.length)
            batch, rest, number = _Batch(write, done), b"", first
            try:
                for piece in pieces(offset, end - offset):
                    rest += piece
                    fetched += len(piece)
                    while len(rest) >= BLOCK_BYTES or (rest and number * BLOCK_BYTES + len(rest) == self.length):
                        block, rest = rest[:BLOCK_BYTES], rest[BLOCK_BYTES:]
                        if not self.is_right(number, block):
                            raise Refused("update_untrusted", f"block {number} came with other content than was signed")
                        batch.add(number, block)
                        number += 1
            except DccnError:
                batch.flush()  # a line that breaks often must still get somewhere
                raise
            batch.flush()
        return fetched


def runs(done: bytearray) -> Iterator[tuple[int, int]]:
    """First and last block of each piece to fetch: short gaps are bridged, none is longer than one go."""
    first = last = -1
    for number, is_done in enumerate(done):
        if is_done:
            continue
        if first >= 0 and number - last - 1 <= GAP_BLOCKS and number - first < MOST_BLOCKS_AT_ONCE:
            last = number
            continue
        if first >= 0:
            yield first, last
        first = last = number
    if first >= 0:
        yield first, last


class _Batch:
    """Blocks that follow each other, written together."""

    def __init__(self, write: Write, done: bytearray) -> None:
        self._write = write
        self._done = done
        self._first = 0
        self._blocks: list[bytes] = []

    def add(self, number: int, block: bytes) -> None:
        if self._blocks and (number != self._first + len(self._blocks) or len(self._blocks) == MOST_BLOCKS_AT_ONCE):
            self.flush()
        if not self._blocks:
            self._first = number
        self._blocks.append(block)

    def flush(self) -> None:
        if self._blocks:
            self._write(self._first * BLOCK_BYTES, b"".join(self._blocks))
            for number in range(self._first, self._first + len(self._blocks)):
                self._done[number] = 1
            self._blocks = []
