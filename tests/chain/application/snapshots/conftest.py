"""A chain of which snapshots were taken, applications that may begin with one, and what both need."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chain.application import snapshot_format
from chain.application.abci import (
    ChunkResult,
    RequestApplySnapshotChunk,
    RequestInitChain,
    RequestListSnapshots,
    RequestLoadSnapshotChunk,
    RequestOfferSnapshot,
    Snapshot,
    ValidatorUpdate,
)
from chain.application.app import Application
from chain.application.restore import Restore
from chain.application.snapshot_format import Manifest, digest_of
from chain.application.snapshots import Snapshots
from chain.application.store import StateStore

POWER = 10**9


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_format, "CHUNK_BYTES", 2_000)


@dataclass
class Source:
    """A chain of which snapshots were taken, and the folder they lie in."""

    chain: object
    snapshots: Snapshots
    folder: Path

    def offer(self) -> RequestOfferSnapshot:
        """The newest snapshot, with the app hash that the chain had at its height."""
        newest = self.chain.app.list_snapshots(RequestListSnapshots()).snapshots[0]
        return RequestOfferSnapshot(newest, self.chain.app_hashes[newest.height - 1])

    def chunks(self) -> list[bytes]:
        offered = self.offer().snapshot
        return [
            self.chain.app.load_snapshot_chunk(RequestLoadSnapshotChunk(offered.height, 1, number)).chunk
            for number in range(offered.chunks)
        ]


@pytest.fixture
def led_genesis(genesis_request: RequestInitChain) -> RequestInitChain:
    app_state = json.loads(genesis_request.app_state_bytes)
    app_state["parameters"]["validator_power"] = POWER
    return replace(
        genesis_request,
        validators=tuple(ValidatorUpdate(each.public, POWER) for each in genesis_request.validators),
        app_state_bytes=json.dumps(app_state).encode(),
    )


@pytest.fixture
def source(chain, tmp_path: Path, led_genesis: RequestInitChain) -> Iterator[Source]:
    """A led chain of blocks with payments and without, with a snapshot in every stretch of five heights."""
    store, snapshots = StateStore(tmp_path / "source"), Snapshots(tmp_path / "snapshots", 5)
    app = Application(store, vrf_keys=chain.app._vrf_keys, snapshots=snapshots)
    led = type(chain)(app, app.init_chain(led_genesis))
    for height in range(1, 24):
        led.block([led.payment(to=bytes([height]) * 20)] if height % 3 else [])
        snapshots.wait()
    yield Source(led, snapshots, tmp_path / "snapshots")
    store.close()
    snapshots.close()


@pytest.fixture
def join(source: Source, tmp_path: Path) -> Iterator[Callable[..., Application]]:
    """New applications that may begin with a snapshot; the same name again is the same home after a restart."""
    stores: dict[str, StateStore] = {}
    expected = source.chain.app._store.chain

    def open_(name: str = "joined", chain: bytes = expected) -> Application:
        if name in stores:
            stores[name].close()
        stores[name] = StateStore(tmp_path / name)
        restore = Restore(stores[name], tmp_path / f"{name}-restore", chain)
        return Application(stores[name], vrf_keys=source.chain.app._vrf_keys, restore=restore)

    yield open_
    for store in stores.values():
        store.close()


def apply_all(app: Application, chunks: list[bytes]) -> list[ChunkResult]:
    return [
        app.apply_snapshot_chunk(RequestApplySnapshotChunk(number, chunk, "peer")).result
        for number, chunk in enumerate(chunks)
    ]


def of_manifest(manifest: Manifest) -> Snapshot:
    encoded = manifest.encode()
    return Snapshot(manifest.height, 1, len(manifest.chunks), digest_of(encoded), encoded)
