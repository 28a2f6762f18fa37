"""The index as SQLite has it: blocks, their transactions, what happened, and who is mentioned where."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from chain.errors import Faulty, Malformed

SCHEMA_VERSION = 1
BLOCK_POSITION = -1
"""The position of what happened in a block outside of its transactions."""

_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
    height INTEGER PRIMARY KEY, hash BLOB NOT NULL, time_ns INTEGER NOT NULL, proposer BLOB NOT NULL,
    transactions INTEGER NOT NULL
);
CREATE TABLE transactions (
    height INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, type INTEGER, sender BLOB, nonce INTEGER,
    fee_atto TEXT, code INTEGER NOT NULL, log TEXT NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (height, position)
) WITHOUT ROWID;
CREATE INDEX transactions_by_hash ON transactions (hash);
CREATE TABLE events (
    height INTEGER NOT NULL, position INTEGER NOT NULL, number INTEGER NOT NULL, type TEXT NOT NULL,
    attributes TEXT NOT NULL,
    PRIMARY KEY (height, position, number)
) WITHOUT ROWID;
CREATE TABLE mentions (
    kind TEXT NOT NULL, value BLOB NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL, role TEXT NOT NULL,
    proven INTEGER NOT NULL,
    PRIMARY KEY (kind, value, height, position, role)
) WITHOUT ROWID;
"""


def open_index(path: Path) -> sqlite3.Connection:
    """The index in `path`, made when there is none; every change is on disk when its transaction ends."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = _connect(f"file:{_quoted(path)}", path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if _version(connection) == 0:
            connection.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
    except sqlite3.DatabaseError as error:
        raise Faulty("home_invalid", f"opening the index {path}: {error}") from None
    _require_version(connection, path)
    return connection


def read_index(path: Path) -> sqlite3.Connection:
    """The index in `path` for reading, beside the process that writes it."""
    if not path.is_file():
        raise Malformed("usage", f"there is no index {path}; make one with dccn node index run --db {path}")
    connection = _connect(f"file:{_quoted(path)}?mode=ro", path)
    _require_version(connection, path)
    return connection


def _connect(uri: str, path: Path) -> sqlite3.Connection:
    try:
        # Transactions are begun by hand; a reader may be used by the threads of a page, one at a time.
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10, check_same_thread=False)
    except sqlite3.Error as error:
        raise Faulty("home_invalid", f"opening the index {path}: {error}") from None


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _require_version(connection: sqlite3.Connection, path: Path) -> None:
    try:
        version = _version(connection)
    except sqlite3.DatabaseError as error:
        raise Faulty("home_invalid", f"{path} is not an index: {error}") from None
    if version != SCHEMA_VERSION:
        raise Faulty("home_invalid", f"{path} has format {version}, this program reads {SCHEMA_VERSION}")


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path.absolute()))
