"""What the index knows, newest first: by address, transaction, height, device and deal."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from chain.errors import DccnError, Malformed
from chain.history.mentions import ADDRESS, DEAL, DEVICE
from chain.history.schema import BLOCK_POSITION
from chain.wire.transactions import Transaction, decode

PAGE_MAX = 1_000
KINDS = (ADDRESS, DEVICE, DEAL)


@dataclass(frozen=True, slots=True)
class Happening:
    """A transaction of a block, or (without `transaction` and `hash`) what happened in the block itself.

    `roles` say how the thing searched for appears; those in `proven_roles` stand in the transaction's own bytes.
    """

    height: int
    position: int
    time_ns: int
    hash: bytes | None
    transaction: Transaction | None
    code: int
    log: str
    roles: tuple[str, ...]
    proven_roles: tuple[str, ...]
    events: tuple[tuple[str, dict[str, str]], ...]


@dataclass(frozen=True, slots=True)
class IndexedBlock:
    height: int
    hash: bytes
    time_ns: int
    proposer: bytes
    happenings: tuple[Happening, ...]


class History:
    """Reads an index; `before` is (height, position) of the last one seen, for the next page."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def chain_id(self) -> str:
        row = self._connection.execute("SELECT value FROM about WHERE name = 'chain_id'").fetchone()
        return "" if row is None else row[0]

    def range(self) -> tuple[int, int]:
        """The lowest and the highest block, (0, 0) without any."""
        low, high = self._connection.execute(
            "SELECT coalesce(min(height), 0), coalesce(max(height), 0) FROM blocks"
        ).fetchone()
        return low, high

    def by_mention(
        self, kind: str, value: bytes, limit: int = 50, before: tuple[int, int] | None = None
    ) -> list[Happening]:
        """Everything that mentions an address (20 bytes), a device (32 bytes) or a deal."""
        if kind not in KINDS or not 1 <= limit <= PAGE_MAX:
            raise Malformed("usage", f"a search is by {', '.join(KINDS)} and shows 1 to {PAGE_MAX} at once")
        height, position = before or (1 << 62, 0)
        found = self._connection.execute(
            "SELECT height, position, group_concat(role), group_concat(CASE WHEN proven THEN role END) FROM mentions "
            "WHERE kind = ? AND value = ? AND (height, position) < (?, ?) "
            "GROUP BY height, position ORDER BY height DESC, position DESC LIMIT ?",
            (kind, value, height, position, limit),
        )
        return [
            self._happening(height, position, _listed(roles), _listed(proven))
            for height, position, roles, proven in found.fetchall()
        ]

    def by_hash(self, tx_hash: bytes) -> list[Happening]:
        """A transaction; more than one when the same bytes were in several blocks (all but one failed)."""
        found = self._connection.execute(
            "SELECT height, position FROM transactions WHERE hash = ? ORDER BY height DESC", (tx_hash,)
        )
        return [self._happening(height, position) for height, position in found.fetchall()]

    def by_height(self, height: int) -> IndexedBlock | None:
        row = self._connection.execute(
            "SELECT height, hash, time_ns, proposer, transactions FROM blocks WHERE height = ?", (height,)
        ).fetchone()
        if row is None:
            return None
        happenings = [self._happening(height, position) for position in range(BLOCK_POSITION, row[4])]
        _, block_hash, time_ns, proposer, _ = row
        shown = tuple(one for one in happenings if one.hash is not None or one.events)
        return IndexedBlock(height, block_hash, time_ns, proposer, shown)

    def newest(self, limit: int = 30) -> list[tuple[int, bytes, int, int]]:
        """(height, hash, time_ns, transactions) of the last blocks that hold more than the beacon."""
        found = self._connection.execute(
            "SELECT height, hash, time_ns, transactions FROM blocks WHERE transactions > 1 "
            "ORDER BY height DESC LIMIT ?",
            (min(limit, PAGE_MAX),),
        )
        return found.fetchall()

    def _happening(
        self, height: int, position: int, roles: tuple[str, ...] = (), proven: tuple[str, ...] = ()
    ) -> Happening:
        one = self._connection.execute(
            "SELECT hash, raw, code, log FROM transactions WHERE height = ? AND position = ?", (height, position)
        ).fetchone() or (None, b"", 0, "")
        time_ns = self._connection.execute("SELECT time_ns FROM blocks WHERE height = ?", (height,)).fetchone()[0]
        events = self._connection.execute(
            "SELECT type, attributes FROM events WHERE height = ? AND position = ? ORDER BY number", (height, position)
        )
        told = tuple((kind, dict(json.loads(pairs))) for kind, pairs in events.fetchall())
        return Happening(height, position, time_ns, one[0], _decoded(one[1]), one[2], one[3], roles, proven, told)


def _listed(joined: Any) -> tuple[str, ...]:
    return tuple(sorted(set(joined.split(",")))) if joined else ()


def _decoded(raw: bytes) -> Transaction | None:
    try:
        return decode(raw)
    except DccnError:
        return None
