"""Snapshots on disk: taken on a thread of their own while blocks go on, the last two kept, served by the chunk.

```
<folder>/<height>/manifest, 0, 1, 2, …     whole: the folder got its name when all of it was durable
<folder>/<height>.new/                     being written, or torn by a crash; swept away at the next start
```
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chain.application import block_meta
from chain.application.abci import Snapshot
from chain.application.database import Interrupted, View
from chain.application.snapshot_format import FORMAT, Manifest, Record, chunks_of, digest_of
from chain.application.store import StateStore, height_key
from chain.errors import DccnError
from chain.files import sync_folder

KEPT = 2
# A joining node proves the app hash with the headers of the two heights after the snapshot's.
SETTLED_HEIGHTS = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Taken:
    manifest: Manifest
    encoded: bytes


class Snapshots:
    """The snapshots of one store. `interval` is in heights: the first folding block of each stretch gets one.

    All calls come from one thread; only the writing itself is done on another one.
    """

    def __init__(self, folder: Path, interval: int) -> None:
        self._folder = folder
        self._interval = interval
        self._worker = ThreadPoolExecutor(1, "snapshot")
        self._running: Future[None] | None = None
        self._taken: dict[int, _Taken] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.glob("*.new"):
            shutil.rmtree(path, ignore_errors=True)
        # Below 0: the first stretch has one, too, or nobody could join a young chain.
        self._last = max((each.height for each in self.list(1 << 63)), default=-1)

    def is_due(self, height: int) -> bool:
        """Whether a block at `height` that folded everything into the tree should be written out."""
        idle = self._running is None or self._running.done()
        return bool(self._interval) and idle and height // self._interval > self._last // self._interval

    def began_with(self, height: int) -> None:
        """The stretch of the snapshot that the store began with has its own already, everywhere alike."""
        self._last = max(self._last, height)

    def take(self, store: StateStore) -> None:
        """Begins to write out what is committed now; a failure is told in the log and costs this snapshot alone."""
        height, chain = store.height, store.chain
        assert chain is not None, "a height is committed after InitChain"
        head = Manifest(chain, height, store.app_hash, store.time_ns, 0, ())
        self._last = height
        self._running = self._worker.submit(self._write, store.view(), head)

    def wait(self) -> None:
        """Returns when nothing is being written."""
        if self._running is not None:
            self._running.result()

    def list(self, height: int) -> tuple[Snapshot, ...]:
        """What a node at `height` offers, newest first: whole snapshots whose app hash others can prove by now."""
        found = []
        for number in sorted((int(path.name) for path in self._folder.iterdir() if path.name.isdigit()), reverse=True):
            taken = self._read(number)
            if taken is not None and number + SETTLED_HEIGHTS <= height:
                count, digest = len(taken.manifest.chunks), digest_of(taken.encoded)
                found.append(Snapshot(number, FORMAT, count, digest, taken.encoded))
        return tuple(found)

    def chunk(self, height: int, number: int, chunk: int) -> bytes:
        """One chunk's bytes; empty if there is none, or the disk no longer holds what was written."""
        taken = self._read(height) if number == FORMAT else None
        if taken is None or not 0 <= chunk < len(taken.manifest.chunks):
            return b""
        try:
            content = (self._folder / str(height) / str(chunk)).read_bytes()
        except OSError:
            return b""
        return content if digest_of(content) == taken.manifest.chunks[chunk][1] else b""

    def close(self) -> None:
        """Waits for the writer, which ends at once when its store has been closed before."""
        self._worker.shutdown()

    def _read(self, height: int) -> _Taken | None:
        if height not in self._taken:
            folder = self._folder / str(height)
            try:
                encoded = (folder / "manifest").read_bytes()
                manifest = Manifest.decode(encoded)
                sizes = [(folder / str(number)).stat().st_size for number in range(len(manifest.chunks))]
            except (OSError, DccnError):
                return None
            if manifest.height != height or sizes != [size for size, _ in manifest.chunks]:
                return None
            self._taken[height] = _Taken(manifest, encoded)
        return self._taken[height]

    def _write(self, view: View, head: Manifest) -> None:
        folder = self._folder / f"{head.height}.new"
        try:
            self._write_all(view, head, folder)
            self._keep_the_last()
            log.info("snapshot of height %d written to %s", head.height, self._folder)
        except Interrupted:
            log.info("the snapshot of height %d was given up: its store grew or closed", head.height)
        except (OSError, DccnError) as error:
            log.error("the snapshot of height %d could not be written: %s", head.height, error)
        finally:
            view.end()
            shutil.rmtree(folder, ignore_errors=True)

    def _write_all(self, view: View, head: Manifest, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        count, chunks = _Count(), []
        for number, chunk in enumerate(chunks_of(count.through(_records(view, head.height)))):
            write_durably(folder / str(number), chunk)
            chunks.append((len(chunk), digest_of(chunk)))
        manifest = Manifest(head.chain, head.height, head.app_hash, head.time_ns, count.records, tuple(chunks))
        write_durably(folder / "manifest", manifest.encode())
        sync_folder(folder)
        shutil.rmtree(self._folder / str(head.height), ignore_errors=True)  # A damaged one.
        folder.rename(self._folder / str(head.height))
        sync_folder(self._folder)

    def _keep_the_last(self) -> None:
        heights = sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdigit())
        for height in heights[:-KEPT]:
            self._taken.pop(height, None)
            shutil.rmtree(self._folder / str(height), ignore_errors=True)


class _Count:
    """Counts what goes through."""

    def __init__(self) -> None:
        self.records = 0

    def through(self, records: Iterator[Record]) -> Iterator[Record]:
        for record in records:
            self.records += 1
            yield record


def _records(view: View, height: int) -> Iterator[Record]:
    """The state, and beside it what the mark of a folding block covers."""
    for key, value in view.items("state"):
        yield "state", key, value
    oldest = height_key(max(1, height - block_meta.MARKED_BEACONS + 1))
    for key, value in view.items("beacon"):
        if key >= oldest:
            yield "beacon", key, value
    for key, value in view.items("rotation"):
        yield "rotation", key, value


def write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
