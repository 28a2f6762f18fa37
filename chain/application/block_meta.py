"""What every block leaves beside the tree: its beacon, and who precommitted while the chain was idle.

A block with nothing but its beacon must not change the app hash, or CometBFT would never rest; so this lives outside
the tree (the beacon is provable through the header's data_hash), in the same transaction as the height. The counts
fold into the ledger with the next block that touches the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chain.application.abci import BlockIDFlag, CommitInfo
from chain.application.database import Database
from chain.application.store import height_key

# Proposers need the beacon two heights back, an election the one two election epochs back (172 800 blocks of 1 s).
KEPT_BEACONS = 1_000_000

Counts = Mapping[bytes, int]
"""Precommits by validator address."""


def beacon_at(store: Database, height: int) -> bytes | None:
    """The 32 bytes of a committed height above 0; None where there is none (any more)."""
    return store.get("beacon", height_key(height)) if height > 0 else None


def expired_beacons(height: int) -> dict[bytes, bytes | None]:
    """The deletion that leaves the last `KEPT_BEACONS`, once `height` is committed."""
    return {height_key(height - KEPT_BEACONS): None} if height > KEPT_BEACONS else {}


def pending_precommits(store: Database) -> dict[bytes, int]:
    """The precommits of the idle blocks since the last block that touched the state, ascending by address."""
    return {address: int.from_bytes(count, "big") for address, count in store.items("participation")}


def add_precommits(counts: Counts, commit: CommitInfo) -> dict[bytes, int]:
    """`counts` with one more for every validator whose precommit for the block is in `commit`."""
    total = dict(counts)
    for vote in commit.votes:
        if vote.block_id_flag == BlockIDFlag.COMMIT:
            total[vote.validator_address] = total.get(vote.validator_address, 0) + 1
    return total


def writes_of(counts: Counts, stored: Iterable[bytes]) -> dict[bytes, bytes | None]:
    """What makes the table hold exactly `counts`, given the addresses that it holds now."""
    writes: dict[bytes, bytes | None] = dict.fromkeys(stored)
    writes.update({address: height_key(count) for address, count in counts.items()})
    return writes
