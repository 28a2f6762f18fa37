"""LMDB with one durable transaction per write, a map that grows by itself, and errors that say what is wrong.

Shared by the application's state and the node's blocks. LMDB because a commit of 20 000 puts costs 40 ms of CPU.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import lmdb

from chain.errors import Faulty

INITIAL_MAP_BYTES = 64 * 1024 * 1024
MAX_MAP_BYTES = 1 << 40

Writes = Mapping[str, Mapping[bytes, bytes | None]]
"""What one commit changes, by table; None deletes a key."""

# LMDB reports a write that the file system cut short as EIO ("short write, filesystem full?" in its source).
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_DAMAGED = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.PanicError)


class Interrupted(Exception):
    """A view was ended before it was read: its store grows, or closes."""


class View:
    """The pairs of one committed moment, to be read on another thread while the store is written on."""

    _BATCH = 256

    def __init__(self, transaction: Any, tables: Mapping[str, Any]) -> None:
        self._transaction = transaction
        self._tables = tables
        self._lock = threading.Lock()

    def items(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """All pairs of a table, ascending; raises Interrupted once the view has ended."""
        after: bytes | None = None
        while batch := self._batch(table, after):
            yield from batch
            after = batch[-1][0]

    def end(self) -> None:
        """Waits for the batch that is being read, no longer; safe to repeat, from any thread."""
        with self._lock:
            transaction, self._transaction = self._transaction, None
            if transaction is not None:
                transaction.abort()

    def _batch(self, table: str, after: bytes | None) -> list[tuple[bytes, bytes]]:
        with self._lock:
            if self._transaction is None:
                raise Interrupted
            cursor = self._transaction.cursor(db=self._tables[table])
            found = cursor.first() if after is None else cursor.set_range(after)
            if found and after is not None and bytes(cursor.key()) == after:
                found = cursor.next()
            pairs: list[tuple[bytes, bytes]] = []
            while found and len(pairs) < self._BATCH:
                pairs.append((bytes(cursor.key()), bytes(cursor.value())))
                found = cursor.next()
            return pairs


class Database:
    """An LMDB environment whose map grows by itself and whose full disk is one clear error.

    One process, one writer; the caller serialises access.
    """

    def __init__(self, folder: Path, names: tuple[str, ...], *, initial_bytes: int = INITIAL_MAP_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        try:
            self._env: Any = lmdb.open(
                str(folder),
                map_size=initial_bytes,
                max_dbs=len(names),
                subdir=True,
                metasync=True,
                sync=True,
                max_readers=64,
            )
            self._map_bytes: int = max(initial_bytes, int(self._env.info()["map_size"]))
            self._tables = {name: self._env.open_db(name.encode()) for name in names}
        except lmdb.Error as error:
            raise _explained(error, folder) from error
        self._reader: Any = None
        self._views: list[View] = []

    def get(self, table: str, key: bytes) -> bytes | None:
        """The committed value of a key."""
        value = self._read().get(key, db=self._tables[table])
        return None if value is None else bytes(value)

    def items(self, table: str, start: bytes = b"", stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Committed pairs with start ≤ key < stop, ascending; consume it before the next commit."""
        cursor = self._read().cursor(db=self._tables[table])
        if not cursor.set_range(start):
            return
        for key, value in cursor.iternext(keys=True, values=True):
            if stop is not None and key >= stop:
                return
            yield bytes(key), bytes(value)

    def last(self, table: str) -> tuple[bytes, bytes] | None:
        """The pair with the greatest key."""
        cursor = self._read().cursor(db=self._tables[table])
        return (bytes(cursor.key()), bytes(cursor.value())) if cursor.last() else None

    def first(self, table: str) -> tuple[bytes, bytes] | None:
        """The pair with the smallest key."""
        cursor = self._read().cursor(db=self._tables[table])
        return (bytes(cursor.key()), bytes(cursor.value())) if cursor.first() else None

    def write(self, writes: Writes) -> None:
        """All of `writes` in one durable transaction. Faulty("disk_full") leaves the previous state as it was."""
        self._durably(lambda: self._write_once(writes))

    def _durably(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
                return
            except lmdb.MapFullError as error:
                self._grow(error)
            except (lmdb.Error, OSError) as error:
                raise _explained(error, self.folder) from error

    def clear(self) -> None:
        """Empties every table in one transaction."""
        self._transact(self._drop)

    def replace(self, contents: Callable[[], Iterable[tuple[str, bytes, bytes]]]) -> None:
        """Instead of all there is, these (table, key, value), in one durable transaction.

        `contents` is called again where the map has to grow; what it raises leaves everything as it was.
        """

        def fill(transaction: Any) -> None:
            self._drop(transaction)
            for name, key, value in contents():
                transaction.put(key, value, db=self._tables[name])

        self._durably(lambda: self._transact(fill))

    def view(self) -> View:
        """What is committed now, for another thread; whoever takes it ends it soon, since it keeps old pages alive."""
        self._views = [each for each in self._views if each._transaction is not None]
        self._views.append(View(self._env.begin(write=False), self._tables))
        return self._views[-1]

    def close(self) -> None:
        self._release_reader()
        self._end_views()
        self._env.close()

    def _write_once(self, writes: Writes) -> None:
        def put(transaction: Any) -> None:
            for name, changes in writes.items():
                table = self._tables[name]
                for key in sorted(changes):
                    value = changes[key]
                    if value is None:
                        transaction.delete(key, db=table)
                    else:
                        transaction.put(key, value, db=table)

        self._transact(put)

    def _drop(self, transaction: Any) -> None:
        for table in self._tables.values():
            transaction.drop(table, delete=False)

    def _end_views(self) -> None:
        for view in self._views:
            view.end()
        self._views.clear()

    def _transact(self, work: Callable[[Any], None]) -> None:
        self._release_reader()
        with self._env.begin(write=True) as transaction:
            work(transaction)

    def _grow(self, error: lmdb.MapFullError) -> None:
        if self._map_bytes * 2 > MAX_MAP_BYTES:
            raise Faulty("disk_full", f"the store {self.folder} is over {MAX_MAP_BYTES} bytes") from error
        self._end_views()  # The map moves: nobody may be reading it.
        self._map_bytes *= 2
        self._env.set_mapsize(self._map_bytes)

    def _read(self) -> Any:
        if self._reader is None:
            self._reader = self._env.begin(write=False)
        return self._reader

    def _release_reader(self) -> None:
        """A reader that stays open would see old data and keep LMDB from reusing pages."""
        if self._reader is not None:
            self._reader.abort()
            self._reader = None


def _explained(error: lmdb.Error | OSError, folder: Path) -> Faulty:
    if (error.errno if isinstance(error, OSError) else error.code) in _NO_SPACE:
        return Faulty("disk_full", f"cannot write to {folder}: {error}")
    if isinstance(error, _DAMAGED):
        return Faulty("state_corrupt", f"the store {folder} cannot be read: {error}")
    return Faulty("home_invalid", f"the store {folder} cannot be used: {error}")
