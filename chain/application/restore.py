"""Beginning with a snapshot: every chunk checked as it comes, the whole against the app hash, then one transaction.

The app hash is CometBFT's, proven by its light client; nothing else about the snapshot is believed. The tree's root
must be that app hash, and the mark in the tree must be that of what stands beside it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chain.application import block_meta
from chain.application.abci import (
    ChunkResult,
    OfferResult,
    RequestApplySnapshotChunk,
    RequestOfferSnapshot,
    ResponseApplySnapshotChunk,
)
from chain.application.snapshot_format import FORMAT, Manifest, Record, digest_of, records_of
from chain.application.snapshots import write_durably
from chain.application.store import StateStore, height_key
from chain.crypto.sparse import SparseTree
from chain.errors import Malformed, Refused

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Contents:
    """What stands beside a snapshot's tree, and that tree's root and mark."""

    root: bytes
    mark: bytes
    beacons: tuple[tuple[bytes, bytes], ...]
    rotation: bytes
    records: int


class Restore:
    """One restore at a time into `store`; chunks wait in `folder` until all are here.

    `chain` is the only `[chain_id, genesis_hash]` that is taken.
    """

    def __init__(self, store: StateStore, folder: Path, chain: bytes) -> None:
        self._store = store
        self._folder = folder
        self._chain = chain
        self._offered: Manifest | None = None
        self._have: set[int] = set()
        self._forget()  # What an interrupted restore left.

    def offer(self, request: RequestOfferSnapshot) -> OfferResult:
        """Whether to fetch this snapshot; a restore that was under way is forgotten."""
        snapshot = request.snapshot
        self._forget()
        if snapshot.format != FORMAT:
            return OfferResult.REJECT_FORMAT
        try:
            manifest = Manifest.decode(snapshot.metadata)
        except Malformed as error:
            log.warning("the snapshot of height %d is refused with its sender: %s", snapshot.height, error)
            return OfferResult.REJECT_SENDER
        if digest_of(snapshot.metadata) != snapshot.hash or len(manifest.chunks) != snapshot.chunks:
            return OfferResult.REJECT_SENDER
        offered = (manifest.chain, manifest.height, manifest.app_hash)
        if offered != (self._chain, snapshot.height, request.app_hash):
            log.warning("the snapshot of height %d is of another chain or state", snapshot.height)
            return OfferResult.REJECT
        self._folder.mkdir(mode=0o700, parents=True)
        self._offered = manifest
        return OfferResult.ACCEPT

    def apply(self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk:
        """Keeps a chunk; with the last one, the store holds the snapshot when this returns ACCEPT."""
        manifest, number = self._offered, request.index
        if manifest is None:
            return ResponseApplySnapshotChunk(ChunkResult.RETRY_SNAPSHOT)
        if not 0 <= number < len(manifest.chunks):
            return ResponseApplySnapshotChunk(ChunkResult.REJECT_SNAPSHOT, (), (request.sender,))
        if (len(request.chunk), digest_of(request.chunk)) != manifest.chunks[number]:
            log.warning("chunk %d from %s is not the snapshot's; it is asked of others", number, request.sender)
            return ResponseApplySnapshotChunk(ChunkResult.RETRY, (number,), (request.sender,))
        write_durably(self._folder / str(number), request.chunk)
        self._have.add(number)
        if len(self._have) == len(manifest.chunks):
            return self._finish(manifest, request.sender)
        return ResponseApplySnapshotChunk(ChunkResult.ACCEPT)

    @property
    def is_done(self) -> bool:
        """Whether the snapshot that was offered last is in the store."""
        return self._offered is None and self._store.base == self._store.height > 0

    def _finish(self, manifest: Manifest, sender: str) -> ResponseApplySnapshotChunk:
        try:
            contents = _read(self._records(len(manifest.chunks)))
            _check(contents, manifest)
        except Refused as error:
            log.warning("the snapshot of height %d is refused: %s", manifest.height, error)
            self._forget()
            return ResponseApplySnapshotChunk(ChunkResult.REJECT_SNAPSHOT, (), (sender,))
        self._store.replace(lambda: self._contents(manifest))
        self._forget()
        log.info("begun with the snapshot of height %d: %d records", manifest.height, manifest.records)
        return ResponseApplySnapshotChunk(ChunkResult.ACCEPT)

    def _records(self, chunks: int) -> Iterator[Record]:
        return records_of((self._folder / str(number)).read_bytes() for number in range(chunks))

    def _contents(self, manifest: Manifest) -> Iterator[Record]:
        yield from self._records(len(manifest.chunks))
        height = height_key(manifest.height)
        yield "meta", StateStore.CHAIN, manifest.chain
        yield "meta", StateStore.HEIGHT, height
        yield "meta", StateStore.BASE, height
        yield "meta", StateStore.TIME, height_key(manifest.time_ns)
        yield "meta", StateStore.APP_HASH, manifest.app_hash

    def _forget(self) -> None:
        self._offered = None
        self._have.clear()
        shutil.rmtree(self._folder, ignore_errors=True)


def _read(records: Iterator[Record]) -> _Contents:
    """One pass over all records, the tree built by the batch."""
    tree, batch, count = SparseTree(), dict[bytes, bytes | None](), 0
    beacons: list[tuple[bytes, bytes]] = []
    mark = rotation = b""
    for table, key, value in records:
        count += 1
        if table == "beacon":
            beacons.append((key, value))
            if len(beacons) > block_meta.MARKED_BEACONS:
                raise Malformed("malformed", f"more than {block_meta.MARKED_BEACONS} beacons")
        elif table == "rotation":
            if key != block_meta.ROTATION_KEY:
                raise Malformed("malformed", "a rotation has another key")
            rotation = value
        else:
            batch[key] = value
            if key == block_meta.MARK_KEY:
                mark = value
            if len(batch) >= _BATCH:
                tree.update(batch)
                batch.clear()
    return _Contents(tree.update(batch), mark, tuple(beacons), rotation, count)


_BATCH = 20_000


def _check(contents: _Contents, manifest: Manifest) -> None:
    """Raises Malformed unless these contents are what the app hash stands for."""
    if contents.root != manifest.app_hash:
        raise Malformed("malformed", f"its root is {contents.root.hex()}, not {manifest.app_hash.hex()}")
    if contents.records != manifest.records:
        raise Malformed("malformed", f"it holds {contents.records} records, not {manifest.records}")
    newest = manifest.height
    heights = range(max(1, newest - block_meta.MARKED_BEACONS + 1), newest + 1)
    if [key for key, _ in contents.beacons] != [height_key(height) for height in heights]:
        raise Malformed("malformed", f"its beacons are not those up to height {newest}")
    beside = block_meta.mark(manifest.time_ns, contents.rotation, [beacon for _, beacon in contents.beacons])
    if beside != contents.mark:
        raise Malformed("malformed", "what stands beside the tree is not what the tree's mark stands for")
