"""What SQLite and PostgreSQL say when they fail, as one sentence and a code."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chain.errors import DccnError, Faulty, Unavailable

_DISK_FULL: Final = "53100"
_GONE_CLASSES: Final = ("08", "53", "57")
"""SQLSTATE classes of PostgreSQL: connection exception, insufficient resources, operator intervention."""
_TRY_AGAIN: Final = ("25006", "40001", "40P01", "55P03")
"""Read-only after a failover, serialization failure, deadlock, lock not available."""


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raises for the database `name`: Unavailable `index_unreachable`, Faulty `disk_full`, `index_invalid`."""
    try:
        yield
    except DBAPIError as error:
        raise _fault(name, error) from None
    except PoolTimeout:
        raise Unavailable("index_unreachable", f"the index {name} has no connection free") from None


def _fault(name: str, error: DBAPIError) -> DccnError:
    lines = str(error.orig).strip().splitlines()
    said = f"the index {name}: {lines[0] if lines else type(error.orig).__name__}"
    if isinstance(error.orig, sqlite3.Error):
        if "full" in said or "disk I/O error" in said:
            return Faulty("disk_full", said)
        return Unavailable("index_unreachable", said) if "locked" in said else Faulty("index_invalid", said)
    state = getattr(error.orig, "sqlstate", None)
    if state == _DISK_FULL:
        return Faulty("disk_full", said)
    # Without a state the server never answered; connections that break under a question are marked as invalidated.
    if state is None or error.connection_invalidated or state[:2] in _GONE_CLASSES or state in _TRY_AGAIN:
        return Unavailable("index_unreachable", said)
    return Faulty("index_invalid", said)
