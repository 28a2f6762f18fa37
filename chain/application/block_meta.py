"""What every block leaves beside the tree: its beacon, who precommitted while the chain was idle, whose turn is next.

A block with nothing but its beacon must not change the app hash, or CometBFT would never rest; so this lives outside
the tree (the beacon is provable through the header's data_hash), in the same transaction as the height. The counts
fold into the ledger with the next block that touches the state. Such a block also puts a mark of the rest into the
tree, so that a node that joins by a snapshot can check that, too, against the app hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from chain.application import proposers
from chain.application.abci import BlockIDFlag, CommitInfo
from chain.application.database import Database
from chain.application.priorities import Rotation
from chain.application.store import height_key
from chain.wire import cbor

# Proposers need the beacon two heights back, an election the one two election epochs back (172 800 blocks of 1 s).
KEPT_BEACONS = 1_000_000

ROTATION_KEY = b"rotation"

MARK_KEY = b"block/meta"
"""Where the tree holds the mark of what is beside it."""

MARKED_BEACONS = 100
"""How many of the last beacons the mark covers and a snapshot carries."""

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


def first_rotation(powers: Mapping[bytes, int]) -> dict[bytes, bytes | None]:
    """What makes a new chain's rotation, by the genesis validators' keys; nothing where proposers are not led."""
    if not powers or not proposers.is_led(min(powers.values())):
        return {}
    return rotation_writes(proposers.first_rotation(powers))


def rotation(store: Database) -> Rotation | None:
    """CometBFT's rotation of the height after the next one; None on a chain whose proposers are not led."""
    data = store.get("rotation", ROTATION_KEY)
    return None if data is None else Rotation.decode(data)


def recent_beacons(store: Database, height: int) -> list[bytes]:
    """The stored beacons of the last heights before `height`, oldest first, one fewer than a mark covers."""
    return [beacon for _, beacon in store.items("beacon", height_key(max(1, height - MARKED_BEACONS + 1)))]


def mark(time_ns: int, encoded_rotation: bytes, beacons: Sequence[bytes]) -> bytes:
    """SHA-256 of canonical CBOR `[time_ns, rotation, [beacon, …]]`: what is beside the tree after a folding block."""
    return sha256(cbor.encode([time_ns, encoded_rotation, list(beacons)])).digest()


def rotation_writes(led: Rotation) -> dict[bytes, bytes | None]:
    return {ROTATION_KEY: led.encode()}
