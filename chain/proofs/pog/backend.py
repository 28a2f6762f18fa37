"""What a processor must be able to do to answer a PoG challenge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chain.proofs.pog.challenge import Challenge


class Multiplier(Protocol):
    """C = A·B of one challenge, ready to be asked for rows.

    Leaf hashes come out instead of rows because a fast card makes more bytes of C than its host can read; the few rows
    that are opened are computed again.
    """

    @property
    def block_rows(self) -> int:
        """How many rows to ask for at once; bounds the memory in use."""
        ...

    def leaf_hashes(self, first: int, count: int) -> bytes:
        """The `count` leaf hashes of rows `first`, `first` + 1, …, 32 bytes each, concatenated."""
        ...

    def rows(self, indices: Sequence[int]) -> list[bytes]:
        """Row i of C as little-endian int32 for each i of `indices`."""
        ...


class Backend(Protocol):
    """A kind of processor; all give the same bits for the same challenge."""

    @property
    def name(self) -> str: ...

    def prepare(self, challenge: Challenge) -> Multiplier:
        """Generate B and whatever else does not depend on the row."""
        ...
