"""The hub's transactions on their way to the chain: rows that outlive a crash, and the plan for what to do with them.

A row is written in the same database transaction as what it reports (a batch, a round's root), under a subject that can
exist only once. It is `pending` until it has a nonce and a signature, `sent` from before its first broadcast on, and
ends `included` or `failed`. Broadcasting again is harmless: the same bytes have the same hash and the same nonce.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from chain.crypto.keys import PublicKey
from chain.wire.kinds import Content
from chain.wire.transactions import Transaction, decode

MAX_IN_FLIGHT: Final = 72
"""How many of our transactions may wait for a block at once; each has the nonce after the one before.

More than the 64 challenges that one batch can have: asked for in one block, all their answers fit into one block too.
"""

State = Literal["pending", "sent", "included", "failed"]


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One transaction. While pending, `raw` holds it without nonce and signature; `code` is "" when it succeeded."""

    id: int
    kind: str
    subject: str
    nonce: int | None
    raw: bytes
    tx_hash: bytes | None
    state: State
    attempts: int
    height: int | None = None

    @property
    def transaction(self) -> Transaction:
        return decode(self.raw)

    @property
    def valid_until_height(self) -> int | None:
        return self.transaction.valid_until_height


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in this order. `sign` pairs rows with nonces."""

    lost: tuple[OutboxRow, ...] = ()
    expired: tuple[OutboxRow, ...] = ()
    again: tuple[OutboxRow, ...] = ()
    sign: tuple[tuple[OutboxRow, int], ...] = ()


def plan(rows: Sequence[OutboxRow], account_nonce: int, newest_height: int) -> Plan:
    """Decide about the open rows that no block is known to hold. Pure.

    `account_nonce` is the account's next one by the chain, `newest_height` the newest block's. A sent row whose nonce
    was used by something else is lost: it is signed anew. One that can no longer be included is expired, and those
    after it are signed anew too, since they would wait for its nonce for ever.
    """
    sent = sorted((row for row in rows if row.state == "sent"), key=lambda row: row.nonce or 0)
    lost, expired, again = [], [], []
    next_nonce = account_nonce
    for row in sent:
        if _is_expired(row, newest_height):
            expired.append(row)
        elif row.nonce == next_nonce:
            again.append(row)
            next_nonce += 1
        else:
            lost.append(row)
    pending = sorted((row for row in rows if row.state == "pending"), key=lambda row: row.id)
    expired += [row for row in pending if _is_expired(row, newest_height)]
    fresh = [row for row in (*lost, *pending) if not _is_expired(row, newest_height)]
    fresh.sort(key=lambda row: row.id)
    room = max(0, MAX_IN_FLIGHT - len(again))
    sign = tuple((row, next_nonce + at) for at, row in enumerate(fresh[:room]))
    return Plan(tuple(lost), tuple(expired), tuple(again), sign)


def enqueue(
    connection: sqlite3.Connection,
    *,
    kind: str,
    subject: str,
    content: Content,
    sender: PublicKey,
    valid_until_height: int | None,
    now_ms: int,
) -> bool:
    """Write a transaction into the caller's database transaction; False when its subject is there already."""
    type_, body = content
    unsigned = Transaction(type_, sender, 0, 0, valid_until_height, body)
    found = connection.execute(
        "INSERT OR IGNORE INTO outbox (kind, subject, raw, state, attempts, created_ms) VALUES (?,?,?,'pending',0,?)",
        (kind, subject, unsigned.encode(), now_ms),
    )
    return found.rowcount == 1


def open_rows(connection: sqlite3.Connection) -> list[OutboxRow]:
    """What is pending or sent, oldest first."""
    return _rows(connection.execute(f"{_SELECT} WHERE state IN ('pending', 'sent') ORDER BY id"))


def row_of(connection: sqlite3.Connection, subject: str) -> OutboxRow | None:
    return next(iter(_rows(connection.execute(f"{_SELECT} WHERE subject = ?", (subject,)))), None)


_SELECT: Final = "SELECT id, kind, subject, nonce, raw, tx_hash, state, attempts, height FROM outbox"


def _rows(found: Iterable[Sequence[Any]]) -> list[OutboxRow]:
    return [OutboxRow(*row) for row in found]


def _is_expired(row: OutboxRow, newest_height: int) -> bool:
    until = row.valid_until_height
    return until is not None and newest_height >= until
