"""The state of earlier heights: what each block overwrote, kept for the last heights.

A proof at height h verifies against the header of h+1, so clients always ask about the past. Only blocks that touched
the state have a diff, and one write per changed key is all that history costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from chain.application.database import Database
from chain.application.store import height_key
from chain.wire import cbor

KEPT_HEIGHTS = 128
MIN_KEPT_HEIGHTS = 100
MAX_DIFF_BYTES = 1 << 30

Diff = Mapping[bytes, bytes | None]
"""Key to the value it had before; None for a key that did not exist."""


class Reader(Protocol):
    def __call__(self, key: bytes) -> bytes | None: ...


def reverse_diff(changes: Diff, before: Reader) -> dict[bytes, bytes | None]:
    """What undoes `changes`, given the values before them."""
    return {key: before(key) for key in changes}


def encode_diff(diff: Diff) -> bytes:
    """Canonical CBOR `[[key, value / null], …]`, ascending by key."""
    return cbor.encode([[key, diff[key]] for key in sorted(diff)])


def decode_diff(data: bytes) -> dict[bytes, bytes | None]:
    return dict(cbor.decode(data, MAX_DIFF_BYTES))


def values_at(diffs: Iterable[Diff]) -> dict[bytes, bytes | None]:
    """The old values of every key changed since some height, given the diffs after it, oldest first.

    The oldest diff that knows a key knows its value at that height.
    """
    past: dict[bytes, bytes | None] = {}
    for diff in diffs:
        for key, value in diff.items():
            past.setdefault(key, value)
    return past


def diffs_after(store: Database, height: int) -> Iterator[Diff]:
    """The stored diffs of the blocks above `height`, oldest first."""
    for _, data in store.items("diff", height_key(height + 1)):
        yield decode_diff(data)


def expired(store: Database, height: int, kept: int = KEPT_HEIGHTS) -> dict[bytes, bytes | None]:
    """The deletions that leave diffs of the last `kept` heights, once `height` is committed."""
    assert kept >= MIN_KEPT_HEIGHTS
    stop = height_key(max(0, height - kept + 1))
    return {key: None for key, _ in store.items("diff", stop=stop)}
