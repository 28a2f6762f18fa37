"""Open the hub's database and bring its tables to this version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from chain.errors import Faulty

DATABASE_FILE: Final = "hub.sqlite"
BUSY_TIMEOUT_MS: Final = 10_000
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Store:
    """The open database. `engine` for the control plane; `connect()` for the ingest path's own SQL."""

    path: Path
    engine: Engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction that takes the write lock at once: commits at the end, rolls back on any exception."""
        with self.engine.connect() as connection, _translated(self.path):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the database for queries."""
        with self.engine.connect() as connection, _translated(self.path):
            connection.exec_driver_sql("BEGIN")
            yield connection

    def connect(self) -> sqlite3.Connection:
        """A bare connection with the same settings, in autocommit mode, for one thread."""
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
        _prepare(connection)
        return connection

    def close(self) -> None:
        self.engine.dispose()


def open_store(home: Path) -> Store:
    """Open `home`/hub.sqlite, making or upgrading its tables.

    A commit is on the disk when it returns (WAL, synchronous=FULL): receipts are given on the strength of that.
    Raises Faulty(disk_full | home_invalid).
    """
    path = home / DATABASE_FILE
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "isolation_level": None}
    )
    event.listen(engine, "connect", lambda connection, _record: _prepare(connection))
    with _translated(path):
        _upgrade(engine)
    path.chmod(0o600)
    return Store(path, engine)


def migrations() -> Config:
    """Alembic's configuration; there is no alembic.ini, since the hub migrates itself when it starts."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _upgrade(engine: Engine) -> None:
    config = migrations()
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _prepare(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.close()


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn SQLite's words into one sentence and a code."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        reason = str(getattr(error, "orig", error))
        if "disk is full" in reason or "disk I/O error" in reason:
            raise Faulty("disk_full", f"writing {path}: {reason}") from error
        if "not a database" in reason or "malformed" in reason or "unable to open" in reason:
            raise Faulty("home_invalid", f"opening {path}: {reason}") from error
        raise
