"""Where signed records wait until the hub has accepted them: SQLite that survives a power cut at any moment.

A record is signed inside the transaction that stores it and takes its number, and nobody sees it before the commit is
on the disk (`synchronous=FULL`). So a number that ever left this machine is taken for good. Records are deleted by the
hub's receipt and by nothing else.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain.errors import Faulty, Refused

SCHEMA_VERSION = 1
NO_HASH = bytes(32)
KEPT_ACCEPTED = 1_024
"""Numbers and hashes of accepted records that stay, so that the device can check where they ended up."""
RECORD_OVERHEAD_BYTES = 256
"""What a row costs beside its envelope; counted so that the bound holds for the file, not just for the payloads."""
FULL_AT = 0.98

SCHEMA = """
CREATE TABLE chain(chain BLOB PRIMARY KEY, next_seq INTEGER NOT NULL, head_hash BLOB NOT NULL, is_open INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE delegation(kid BLOB PRIMARY KEY, boot BLOB NOT NULL, envelope BLOB NOT NULL, created_ms INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE record(chain BLOB NOT NULL, seq INTEGER NOT NULL, kid BLOB NOT NULL, payload_hash BLOB NOT NULL,
    envelope BLOB NOT NULL, PRIMARY KEY(chain, seq)) WITHOUT ROWID;
CREATE TABLE accepted(chain BLOB NOT NULL, seq INTEGER NOT NULL, payload_hash BLOB NOT NULL, PRIMARY KEY(chain, seq))
    WITHOUT ROWID;
CREATE TABLE receipt(chain BLOB PRIMARY KEY, upto_seq INTEGER NOT NULL, envelope BLOB NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a record chain: `next_seq` is the number that the next record takes, `head_hash` its `prev`."""

    chain: bytes
    next_seq: int
    head_hash: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """What a maker of records returns: the envelope to store, and SHA-256 of its payload."""

    envelope: bytes
    payload_hash: bytes
    kid: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored record that the hub has not accepted yet."""

    chain: bytes
    seq: int
    kid: bytes
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Depth:
    """How full the spool is; `is_full` means that no record fits any more."""

    records: int
    bytes_used: int
    max_bytes: int

    @property
    def is_full(self) -> bool:
        return self.bytes_used >= self.max_bytes * FULL_AT


class Spool:
    """The spool in one SQLite file. Threads may share it. Faulty `disk_full` when the disk or the bound is reached.

    `step` is told each write boundary's name just before it is crossed; tests kill the process there.
    """

    def __init__(
        self, path: Path, *, max_bytes: int = 64 * 1024 * 1024, step: Callable[[str], None] = lambda _boundary: None
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._step = step
        self._lock = threading.RLock()
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._prepare()
        except sqlite3.Error as error:
            raise _as_faulty(error, f"opening the spool {path}") from error
        self._records, self._bytes_used = self._measure()

    def close(self) -> None:
        with self._lock:
            self._database.close()

    # Chains ----------------------------------------------------------------------------------------------------------

    def open_chain(self, chain: bytes) -> None:
        """Make `chain` (16 bytes) the one that new records go to; opening it again changes nothing."""
        with _Write(self, "open_chain") as database:
            database.execute("UPDATE chain SET is_open = 0 WHERE chain != ?", (chain,))
            database.execute(
                "INSERT INTO chain VALUES (?, 0, ?, 1) ON CONFLICT(chain) DO UPDATE SET is_open = 1", (chain, NO_HASH)
            )

    def head(self) -> Head | None:
        """The open chain's end, None before the first enrolment."""
        row = self._one("SELECT chain, next_seq, head_hash FROM chain WHERE is_open = 1")
        return Head(*row) if row else None

    # Writing ---------------------------------------------------------------------------------------------------------

    def store_delegation(self, kid: bytes, boot: bytes, envelope: bytes, created_ms: int) -> None:
        """Keep the identity key's certificate of a record key, before that key signs its first record."""
        with _Write(self, "delegation") as database:
            database.execute("INSERT OR IGNORE INTO delegation VALUES (?, ?, ?, ?)", (kid, boot, envelope, created_ms))
            database.execute("DELETE FROM delegation WHERE kid != ? AND kid NOT IN (SELECT kid FROM record)", (kid,))

    def append(self, make: Callable[[Head], Signed]) -> Head:
        """Take the next number, let `make` sign the record for it, and store both for good; returns the new head.

        Raises Faulty `disk_full` when the bound or the disk is full: then no number was taken.
        """
        with self._lock:
            if self.depth().is_full:
                raise Faulty("disk_full", f"the spool {self._path} holds its {self._max_bytes} bytes")
            with _Write(self, "append") as database:
                head = self.head()
                if head is None:
                    raise Faulty("home_invalid", "there is no open record chain; enrol first")
                signed = make(head)
                self._step("append:insert")
                database.execute(
                    "INSERT INTO record VALUES (?, ?, ?, ?, ?)",
                    (head.chain, head.next_seq, signed.kid, signed.payload_hash, signed.envelope),
                )
                self._step("append:head")
                database.execute(
                    "UPDATE chain SET next_seq = ?, head_hash = ? WHERE chain = ?",
                    (head.next_seq + 1, signed.payload_hash, head.chain),
                )
            self._records += 1
            self._bytes_used += len(signed.envelope) + RECORD_OVERHEAD_BYTES
            return Head(head.chain, head.next_seq + 1, signed.payload_hash)

    # Reading ---------------------------------------------------------------------------------------------------------

    def waiting(self, *, after: tuple[bytes, int] | None = None, limit: int) -> list[Waiting]:
        """Up to `limit` records in order of (chain, seq), from behind `after` on."""
        chain, seq = after or (b"", -1)
        rows = self._all(
            "SELECT chain, seq, kid, envelope FROM record WHERE (chain, seq) > (?, ?) ORDER BY chain, seq LIMIT ?",
            (chain, seq, limit),
        )
        return [Waiting(*row) for row in rows]

    def record(self, chain: bytes, seq: int) -> Waiting | None:
        row = self._one("SELECT chain, seq, kid, envelope FROM record WHERE chain = ? AND seq = ?", (chain, seq))
        return Waiting(*row) if row else None

    def delegations(self) -> list[bytes]:
        """Envelopes that the hub needs before the waiting records, the oldest first."""
        return [row[0] for row in self._all("SELECT envelope FROM delegation ORDER BY created_ms, kid")]

    def accepted_upto(self, chain: bytes) -> int | None:
        """The highest number that a receipt covers."""
        row = self._one("SELECT upto_seq FROM receipt WHERE chain = ?", (chain,))
        return int(row[0]) if row else None

    def accepted_hash(self, chain: bytes, seq: int) -> bytes | None:
        """SHA-256 of the payload of an accepted record, while it is remembered."""
        row = self._one("SELECT payload_hash FROM accepted WHERE chain = ? AND seq = ?", (chain, seq))
        return bytes(row[0]) if row else None

    def depth(self) -> Depth:
        with self._lock:
            return Depth(self._records, self._bytes_used, self._max_bytes)

    # Receipts --------------------------------------------------------------------------------------------------------

    def acknowledge(self, chain: bytes, upto_seq: int, head_hash: bytes, envelope: bytes) -> int:
        """Delete the records up to `upto_seq`, as a verified receipt allows, and keep it; returns how many went.

        Raises Refused `record_gap` when the hub knows numbers that this disk never gave (an older copy of it runs
        here), `record_contradiction` when it accepted another record under one of our numbers. Neither deletes.
        """
        with self._lock:
            self._check_receipt(chain, upto_seq, head_hash)
            with _Write(self, "acknowledge") as database:
                covered = (chain, upto_seq)
                self._step("acknowledge:remember")
                database.execute(
                    "INSERT OR REPLACE INTO accepted "
                    "SELECT chain, seq, payload_hash FROM record WHERE chain = ? AND seq <= ?",
                    covered,
                )
                database.execute(
                    "INSERT INTO receipt VALUES (?, ?, ?) ON CONFLICT(chain) DO UPDATE SET "
                    "envelope = excluded.envelope, upto_seq = excluded.upto_seq WHERE excluded.upto_seq >= upto_seq",
                    (chain, upto_seq, envelope),
                )
                self._step("acknowledge:delete")
                gone = database.execute("DELETE FROM record WHERE chain = ? AND seq <= ?", covered).rowcount
                forgotten = (chain, upto_seq - KEPT_ACCEPTED)
                database.execute("DELETE FROM accepted WHERE chain = ? AND seq <= ?", forgotten)
            if gone:
                self._records, self._bytes_used = self._measure()
            return gone

    def _check_receipt(self, chain: bytes, upto_seq: int, head_hash: bytes) -> None:
        row = self._one("SELECT next_seq FROM chain WHERE chain = ?", (chain,))
        if row is None:
            raise Refused("record_foreign", f"the receipt names chain {chain.hex()}, which is not one of this device")
        if upto_seq >= row[0]:
            raise Refused("record_gap", f"the hub knows record {upto_seq}, this disk only those below {row[0]}")
        stored = self._one("SELECT payload_hash FROM record WHERE chain = ? AND seq = ?", (chain, upto_seq))
        ours = bytes(stored[0]) if stored else self.accepted_hash(chain, upto_seq)
        if ours is not None and ours != head_hash:
            raise Refused("record_contradiction", f"the hub's record {upto_seq} is not the one that this device signed")

    # SQLite ----------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        database = self._database
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA busy_timeout=5000")
        database.execute("PRAGMA wal_autocheckpoint=200")
        database.execute("PRAGMA cache_size=-512")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise Faulty("home_invalid", f"the spool {self._path} has version {version}, not {SCHEMA_VERSION}")

    def _measure(self) -> tuple[int, int]:
        row = self._one(f"SELECT COUNT(*), COALESCE(SUM(LENGTH(envelope) + {RECORD_OVERHEAD_BYTES}), 0) FROM record")
        assert row is not None
        return int(row[0]), int(row[1])

    def _one(self, statement: str, values: tuple[object, ...] = ()) -> tuple[Any, ...] | None:
        rows = self._all(statement, values)
        return rows[0] if rows else None

    def _all(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._database.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise _as_faulty(error, f"reading the spool {self._path}") from error


class _Write:
    """One transaction: all of it is on the disk when the block ends, or none of it."""

    def __init__(self, spool: Spool, name: str) -> None:
        self._spool = spool
        self._name = name

    def __enter__(self) -> sqlite3.Connection:
        self._spool._lock.acquire()
        try:
            self._spool._step(f"{self._name}:begin")
            self._spool._database.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._spool._lock.release()
            raise _as_faulty(error, f"writing to the spool {self._spool._path}") from error
        return self._spool._database

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        database = self._spool._database
        try:
            if kind is None:
                self._spool._step(f"{self._name}:commit")
                database.execute("COMMIT")
                self._spool._step(f"{self._name}:done")
        except sqlite3.Error as failed:
            _roll_back(database)
            raise _as_faulty(failed, f"writing to the spool {self._spool._path}") from failed
        else:
            if kind is not None:
                _roll_back(database)
                if isinstance(error, sqlite3.Error):
                    raise _as_faulty(error, f"writing to the spool {self._spool._path}") from error
        finally:
            self._spool._lock.release()


def _roll_back(database: sqlite3.Connection) -> None:
    if database.in_transaction:
        database.execute("ROLLBACK")


def _as_faulty(error: sqlite3.Error, attempted: str) -> Faulty:
    name = getattr(error, "sqlite_errorname", "")
    full = name.startswith("SQLITE_FULL") or "full" in str(error)
    return Faulty("disk_full" if full else "home_invalid", f"{attempted}: {error}")
