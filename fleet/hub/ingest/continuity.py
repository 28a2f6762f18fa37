"""Where a record belongs in its device's hash chain: next, later, again, contradicting, or nowhere.

Pure. A chain is what the hub accepted under one (device, chain): a prefix without holes, and at most `MAX_BEYOND`
records beyond a hole, which wait until the missing ones arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

NO_HASH: Final = bytes(32)
"""`prev` of the record with sequence number 0."""
MAX_BEYOND: Final = 1_024
"""How far beyond the first hole a record may lie; one further away is refused until the hole is filled."""
MAX_MISSING: Final = 256
"""How many missing sequence numbers one receipt lists, lowest first."""

Place = Literal["next", "beyond", "record_replay", "record_contradiction", "record_gap", "record_broken_chain"]


class Link(msgspec.Struct, frozen=True, gc=False):
    """One record as the chain sees it: the hash of its payload and the hash of its predecessor's."""

    hash: bytes
    prev: bytes


@dataclass(slots=True)
class Chain:
    """The accepted part of one record chain. `upto_seq` is -1 while record 0 is missing.

    `beyond` holds the records after a hole, `known` hashes at or below `upto_seq` for those sequence numbers that a
    batch names again (the store loads them; others are not looked at).
    """

    upto_seq: int = -1
    head_hash: bytes = NO_HASH
    beyond: dict[int, Link] = field(default_factory=dict)
    known: dict[int, bytes] = field(default_factory=dict)

    @property
    def highest_seq(self) -> int:
        return max(self.beyond, default=self.upto_seq)

    def missing(self, limit: int = MAX_MISSING) -> list[int]:
        """The lowest sequence numbers that are not there although a later one is."""
        holes: list[int] = []
        for seq in range(self.upto_seq + 1, self.highest_seq):
            if seq not in self.beyond:
                holes.append(seq)
                if len(holes) == limit:
                    break
        return holes


def place(chain: Chain, seq: int, link: Link) -> Place:
    """Say where the record goes, without changing anything.

    "next" and "beyond" are to be stored; the rest are codes of the registry. A replay is the very same payload again; a
    contradiction is another payload under a sequence number that is taken.
    """
    taken = chain.known.get(seq) if seq <= chain.upto_seq else _hash(chain.beyond, seq)
    if taken is not None:
        return "record_replay" if taken == link.hash else "record_contradiction"
    if seq <= chain.upto_seq:
        raise LookupError(f"the snapshot lacks record {seq} of a chain that is complete up to {chain.upto_seq}")
    if seq - chain.upto_seq > MAX_BEYOND:
        return "record_gap"
    before = chain.head_hash if seq == chain.upto_seq + 1 else _hash(chain.beyond, seq - 1)
    after = chain.beyond.get(seq + 1)
    if (before is not None and before != link.prev) or (after is not None and after.prev != link.hash):
        return "record_broken_chain"
    return "next" if seq == chain.upto_seq + 1 else "beyond"


def append(chain: Chain, seq: int, link: Link) -> None:
    """Take the record in, and whatever waited for it. Only for what `place` called "next" or "beyond"."""
    chain.beyond[seq] = link
    while (following := chain.beyond.pop(chain.upto_seq + 1, None)) is not None:
        chain.upto_seq += 1
        chain.head_hash = following.hash
        chain.known[chain.upto_seq] = following.hash


def _hash(links: Mapping[int, Link], seq: int) -> bytes | None:
    link = links.get(seq)
    return link.hash if link is not None else None
