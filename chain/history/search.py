"""What the index knows, newest first: by address, transaction, height, device and deal."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, func, select, tuple_

from chain.errors import Malformed
from chain.history.mentions import ADDRESS, DEAL, DEVICE
from chain.history.rows import INTEGER_MAX, decoded
from chain.history.schema import BLOCK_POSITION, about, blocks, events, mentions, transactions
from chain.history.store import Index
from chain.wire.transactions import Transaction

PAGE_MAX: Final = 1_000
KINDS: Final = (ADDRESS, DEVICE, DEAL)
Place = tuple[int, int]
"""(height, position)"""


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
class BlockRow:
    """A block without its content; `transactions` counts the beacon's."""

    height: int
    hash: bytes
    time_ns: int
    proposer: bytes
    transactions: int


@dataclass(frozen=True, slots=True)
class IndexedBlock:
    height: int
    hash: bytes
    time_ns: int
    proposer: bytes
    happenings: tuple[Happening, ...]


class History:
    """Reads an index, for any number of threads; `before` is the place of the last one seen, for the next page."""

    def __init__(self, index: Index) -> None:
        self._index = index

    @property
    def chain_id(self) -> str:
        with self._index.read() as connection:
            return connection.execute(select(about.c.value).where(about.c.name == "chain_id")).scalar() or ""

    def range(self) -> tuple[int, int]:
        """The lowest and the highest block, (0, 0) without any."""
        lowest, highest = func.min(blocks.c.height), func.max(blocks.c.height)
        with self._index.read() as connection:
            low, high = connection.execute(select(func.coalesce(lowest, 0), func.coalesce(highest, 0))).one()
        return low, high

    def by_mention(self, kind: str, value: bytes, limit: int = 50, before: Place | None = None) -> list[Happening]:
        """Everything that mentions an address (20 bytes), a device (32 bytes) or a deal."""
        if kind not in KINDS or not 1 <= limit <= PAGE_MAX:
            raise Malformed("usage", f"a search is by {', '.join(KINDS)} and shows 1 to {PAGE_MAX} at once")
        height, position = (min(number, INTEGER_MAX) for number in before or (INTEGER_MAX, 0))
        place = tuple_(mentions.c.height, mentions.c.position)
        asked = (mentions.c.kind == kind) & (mentions.c.value == value)
        with self._index.read() as connection:
            rows = connection.execute(
                select(mentions.c.height, mentions.c.position)
                .where(asked, place < tuple_(height, position))
                .distinct()
                .order_by(mentions.c.height.desc(), mentions.c.position.desc())
                .limit(limit)
            )
            places = [(row.height, row.position) for row in rows]
            roles, proven = defaultdict[Place, set[str]](set), defaultdict[Place, set[str]](set)
            for row in connection.execute(select(mentions).where(asked, place.in_(places))):
                roles[row.height, row.position].add(row.role)
                if row.proven:
                    proven[row.height, row.position].add(row.role)
            return _happenings(connection, places, roles, proven)

    def by_hash(self, tx_hash: bytes) -> list[Happening]:
        """A transaction; more than one when the same bytes were in several blocks (all but one failed)."""
        found = select(transactions.c.height, transactions.c.position).where(transactions.c.hash == tx_hash)
        with self._index.read() as connection:
            rows = connection.execute(found.order_by(transactions.c.height.desc()).limit(PAGE_MAX))
            return _happenings(connection, [(row.height, row.position) for row in rows])

    def by_height(self, height: int) -> IndexedBlock | None:
        with self._index.read() as connection:
            row = connection.execute(select(blocks).where(blocks.c.height == height)).one_or_none()
            if row is None:
                return None
            happenings: list[Happening] = []
            for first in range(BLOCK_POSITION, row.transactions, PAGE_MAX):
                positions = range(first, min(first + PAGE_MAX, row.transactions))
                happenings += _happenings(connection, [(height, position) for position in positions])
        shown = tuple(one for one in happenings if one.hash is not None or one.events)
        return IndexedBlock(height, row.hash, row.time_ns, row.proposer, shown)

    def newest(self, limit: int = 30, below: int | None = None) -> list[BlockRow]:
        """The last blocks (of those below a height) that hold more than the beacon."""
        busy = select(blocks).where(blocks.c.transactions > 1, blocks.c.height < (below or INTEGER_MAX))
        with self._index.read() as connection:
            rows = connection.execute(busy.order_by(blocks.c.height.desc()).limit(min(limit, PAGE_MAX)))
            return [BlockRow(*row) for row in rows]

    def highest(self) -> tuple[int, bytes] | None:
        """(height, hash) of the newest block, None without any."""
        newest = select(blocks.c.height, blocks.c.hash).order_by(blocks.c.height.desc()).limit(1)
        with self._index.read() as connection:
            row = connection.execute(newest).one_or_none()
        return None if row is None else (row.height, row.hash)

    def proposers(self, last: int) -> tuple[int, list[tuple[bytes, int]]]:
        """How many of the `last` newest blocks there are, and how many of them each validator proposed, most first."""
        newest = select(blocks.c.proposer).order_by(blocks.c.height.desc()).limit(last).subquery()
        counted = func.count()
        asked = select(newest.c.proposer, counted).group_by(newest.c.proposer).order_by(counted.desc())
        with self._index.read() as connection:
            found = [(proposer, count) for proposer, count in connection.execute(asked)]
        return sum(count for _, count in found), found


def _happenings(
    connection: Connection,
    places: Sequence[Place],
    roles: dict[Place, set[str]] | None = None,
    proven: dict[Place, set[str]] | None = None,
) -> list[Happening]:
    """Those at `places` (at most PAGE_MAX), in that order, in three questions however many they are."""
    roles, proven = roles or {}, proven or {}
    rows = {
        (row.height, row.position): row
        for row in connection.execute(select(transactions).where(_at(transactions, places)))
    }
    heights = {height for height, _ in places}
    asked = select(blocks.c.height, blocks.c.time_ns).where(blocks.c.height.in_(heights))
    times: dict[int, int] = {row.height: row.time_ns for row in connection.execute(asked)}
    told: defaultdict[Place, list[tuple[str, dict[str, str]]]] = defaultdict(list)
    for row in connection.execute(select(events).where(_at(events, places)).order_by(events.c.number)):
        told[row.height, row.position].append((row.type, dict(json.loads(row.attributes))))
    found = []
    for place in places:
        one = rows.get(place)
        tx_hash, raw, code, log = (None, b"", 0, "") if one is None else (one.hash, one.raw, one.code, one.log)
        found.append(
            Happening(
                *place,
                times[place[0]],
                tx_hash,
                decoded(raw),
                code,
                log,
                tuple(sorted(roles.get(place, ()))),
                tuple(sorted(proven.get(place, ()))),
                tuple(told[place]),
            )
        )
    return found


def _at(table: Table, places: Sequence[Place]) -> ColumnElement[bool]:
    return tuple_(table.c.height, table.c.position).in_(places)
