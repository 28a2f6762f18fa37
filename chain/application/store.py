"""The ledger's state on disk: one write transaction per block.

State, reverse diff, block meta, height and app hash are written together or not at all, so a crash at any moment leaves
exactly the state of some committed height.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chain.application.database import INITIAL_MAP_BYTES, Database

TABLES = ("state", "diff", "meta", "beacon", "participation", "rotation")


class StateStore(Database):
    """The application's own database: `state` is the tree's content, the rest is beside the tree."""

    HEIGHT, TIME, APP_HASH, CHAIN, BASE = b"height", b"time", b"app_hash", b"chain", b"base"

    def __init__(self, folder: Path, *, initial_bytes: int = INITIAL_MAP_BYTES) -> None:
        super().__init__(folder, TABLES, initial_bytes=initial_bytes)

    @property
    def height(self) -> int:
        """The last committed height; 0 before the first block."""
        return int.from_bytes(self.get("meta", self.HEIGHT) or b"", "big")

    @property
    def time_ns(self) -> int:
        """The header time of `height`, nanoseconds since the Unix epoch; that of genesis before the first block."""
        return int.from_bytes(self.get("meta", self.TIME) or b"", "big")

    @property
    def app_hash(self) -> bytes:
        """The app hash after `height`; empty before InitChain."""
        return self.get("meta", self.APP_HASH) or b""

    @property
    def chain(self) -> bytes | None:
        """Canonical CBOR `[chain_id, genesis_hash]`; None before InitChain."""
        return self.get("meta", self.CHAIN)

    @property
    def base(self) -> int:
        """The height of the snapshot that this store began with; 0 when it began with the genesis."""
        return int.from_bytes(self.get("meta", self.BASE) or b"", "big")

    def state(self, key: bytes) -> bytes | None:
        return self.get("state", key)

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """The whole state, ascending by key."""
        return self.items("state")


def height_key(height: int) -> bytes:
    """Big-endian, so that LMDB's order is the order of heights."""
    return height.to_bytes(8, "big")
