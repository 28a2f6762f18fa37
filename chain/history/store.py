"""Where an index is kept: a file of SQLite, or a PostgreSQL database that several machines may read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError

from chain.errors import Faulty, Malformed
from chain.history.faults import translated
from chain.history.schema import SCHEMA_VERSION, about, metadata

WAIT_S: Final = 10
"""For a lock of SQLite, or for PostgreSQL to accept a connection."""
_WRITER_LOCK: Final = 0x6463_636E  # "dccn": one writer at a time in a database of PostgreSQL
_POSTGRESQL: Final = {
    "connect_timeout": WAIT_S,
    "application_name": "dccn index",
    # A machine that vanished is noticed, so that the index goes on with the one that takes its place.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}


@dataclass(frozen=True, slots=True)
class Index:
    """An open index. Its transactions raise Unavailable `index_unreachable`, Faulty `index_invalid`, `disk_full`."""

    engine: Engine
    name: str

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction of the only writer: on disk when it ends, undone by any exception."""
        with translated(self.name), self.engine.connect() as connection:
            _lock(connection)
            yield connection
            connection.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One view of the index, the same from the first to the last question."""
        with translated(self.name), self.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    def close(self) -> None:
        self.engine.dispose()


def open_index(where: str | Path) -> Index:
    """The index at a path or URL, made when there is none. Raises also Malformed `usage`."""
    index = _connected(where, write=True)
    with index.begin() as connection:
        if not inspect(connection).has_table("about"):
            metadata.create_all(connection)
            connection.execute(about.insert().values(name="format", value=str(SCHEMA_VERSION)))
    _require_format(index)
    return index


def read_index(where: str | Path) -> Index:
    """The index at a path or URL for reading, beside the process that writes it. Raises also Malformed `usage`."""
    index = _connected(where, write=False)
    _require_format(index)
    return index


def is_url(where: str | Path) -> bool:
    return "://" in str(where)


def _connected(where: str | Path, *, write: bool) -> Index:
    if is_url(where):
        return _postgresql(str(where))
    path = Path(where)
    if write:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not path.is_file():
        raise Malformed("usage", f"there is no index {path}; make one with dccn node index run --db {path}")
    query = {"uri": "true"} | ({} if write else {"mode": "ro"})
    url = URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query=query)
    engine = create_engine(url, connect_args={"timeout": WAIT_S, "isolation_level": None})
    if write:
        event.listen(engine, "connect", _durable)
    return Index(engine, str(path))


def _postgresql(where: str) -> Index:
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        raise Malformed("usage", "the index's URL cannot be read; postgresql://USER@HOST/DATABASE is one") from None
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise Malformed("usage", f"an index is a file or postgresql://…, not {url.drivername}://…")
    name = url.render_as_string(hide_password=True)  # messages and logs never hold the password
    try:
        engine = create_engine(url.set(drivername="postgresql+psycopg"), connect_args=_POSTGRESQL, pool_pre_ping=True)
    except ModuleNotFoundError:
        raise Faulty("engine_missing", f"opening {name} takes psycopg: pip install 'dccn[postgresql]'") from None
    return Index(engine, name)


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})


def _durable(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _require_format(index: Index) -> None:
    with index.read() as connection:
        if not inspect(connection).has_table("about"):
            raise Faulty("index_invalid", f"{index.name} holds no index; dccn node index run makes one")
        found = connection.execute(select(about.c.value).where(about.c.name == "format")).scalar()
    if found != str(SCHEMA_VERSION):
        made = f"{index.name} has format {found or 1}, this program reads {SCHEMA_VERSION}"
        raise Faulty("index_invalid", f"{made}; remove it, and dccn node index run makes it anew from the node")
