"""Where two states part: the first height at which their roots differ, and there the first key.

Every step asks each side for one bucket's proof, whose siblings say of every subtree beside the path whether it is the
same on both sides; so a tree of 2^20 buckets is searched with at most 21 questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chain.crypto.sparse_proof import DEPTH, Entry, SparseProof
from chain.errors import Refused


class Side(Protocol):
    """A state with its last heights: a node that runs, or the home of one that does not."""

    @property
    def name(self) -> str: ...

    def heights(self) -> tuple[int, int]:
        """The oldest and the newest height of which it can prove anything."""
        ...

    def prove(self, bucket: int, height: int) -> SparseProof:
        """The proof of a bucket after the block at `height`."""
        ...

    def key_of(self, hashed: bytes, height: int) -> bytes | None:
        """The key with this SHA-256, where the side can tell."""
        ...

    def value_of(self, key: bytes, height: int) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """`height` is the first at which the two differ, or the oldest that both know (then `since_before`).

    `hashed_key` is the first key, in the tree's order, whose values' hashes differ; `key` is its name where a side can
    tell, and `values` are then both sides' values, None where the key is absent.
    """

    height: int
    since_before: bool
    hashed_key: bytes
    key: bytes | None
    values: tuple[bytes | None, bytes | None]


def first_difference(left: Side, right: Side) -> Difference | None:
    """None when they agree at the newest height that both know.

    Refuses `height_unknown` when they know no height in common, `proof_invalid` when a side's proofs contradict.
    """
    height, since_before = _first_height(left, right) or (0, False)
    if not height:
        return None
    mine, theirs = _first_bucket(left, right, height)
    hashed = _first_entry(mine.bucket, theirs.bucket)
    key = left.key_of(hashed, height) or right.key_of(hashed, height)
    values = (None, None) if key is None else (left.value_of(key, height), right.value_of(key, height))
    return Difference(height, since_before, hashed, key, values)


def _first_height(left: Side, right: Side) -> tuple[int, bool] | None:
    """By bisection: blocks that were run on different states never come to the same one again."""
    (oldest, newest), (other_oldest, other_newest) = left.heights(), right.heights()
    low, high = max(oldest, other_oldest), min(newest, other_newest)
    if low > high:
        raise Refused(
            "height_unknown",
            f"{left.name} knows heights {oldest} to {newest}, {right.name} {other_oldest} to {other_newest}",
        )
    if _agree(left, right, high):
        return None
    if not _agree(left, right, low):
        return low, True
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _agree(left, right, middle) else (low, middle)
    return high, False


def _agree(left: Side, right: Side, height: int) -> bool:
    return left.prove(0, height).root_from(0) == right.prove(0, height).root_from(0)


def _first_bucket(left: Side, right: Side, height: int) -> tuple[SparseProof, SparseProof]:
    """Goes down to the leftmost subtree that differs until the bucket itself does."""
    bucket = 0
    for _ in range(DEPTH + 1):
        mine, theirs = left.prove(bucket, height), right.prove(bucket, height)
        if mine.bucket != theirs.bucket:
            return mine, theirs
        following = _leftmost(mine, theirs, bucket)
        if following is None:
            break
        bucket = following
    raise Refused("proof_invalid", f"at height {height} the proofs of {left.name} and {right.name} do not fit together")


def _leftmost(mine: SparseProof, theirs: SparseProof, bucket: int) -> int | None:
    """The first bucket of the lowest subtree right of `bucket` that differs."""
    for level, (one, other) in enumerate(zip(mine.siblings, theirs.siblings, strict=True)):
        sibling = (bucket >> level) ^ 1
        if one != other and sibling & 1:
            return sibling << level
    return None


def _first_entry(mine: tuple[Entry, ...], theirs: tuple[Entry, ...]) -> bytes:
    """The smallest hashed key that only one side has, or has with another value."""
    return min(set(mine) ^ set(theirs))[0]
