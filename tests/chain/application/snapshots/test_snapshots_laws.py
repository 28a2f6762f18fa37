"""Laws of snapshots: any state survives the round trip, any chain goes on alike from any of its snapshots."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.application import block_meta
from chain.application.abci import (
    ChunkResult,
    OfferResult,
    RequestApplySnapshotChunk,
    RequestCommit,
    RequestInfo,
    RequestInitChain,
    RequestOfferSnapshot,
    Snapshot,
)
from chain.application.app import Application
from chain.application.restore import Restore
from chain.application.snapshots import Snapshots
from chain.application.store import StateStore, height_key
from chain.crypto.sparse import SparseTree
from tests.chain.application.snapshots.conftest import apply_all

CHAIN = b"chain"

CONTENT = st.dictionaries(st.binary(min_size=1, max_size=60), st.binary(max_size=300), max_size=60)


@given(CONTENT, st.integers(1, 250), st.integers(0, 5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_state_survives_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, content: dict[bytes, bytes], height: int, salt: int
) -> None:
    folder = tmp_path_factory.mktemp("round")
    beacons = {height_key(number): bytes([number % 251]) * 32 for number in range(1, height + 1)}
    recent = list(beacons.values())[-block_meta.MARKED_BEACONS :]
    content = content | {block_meta.MARK_KEY: block_meta.mark(salt, b"led", recent)}
    app_hash = SparseTree(content.items()).root
    store, joined = StateStore(folder / "a"), StateStore(folder / "b")
    meta = {StateStore.CHAIN: CHAIN, StateStore.HEIGHT: height_key(height), StateStore.TIME: height_key(salt)}
    rotation = {block_meta.ROTATION_KEY: b"led"}
    meta[StateStore.APP_HASH] = app_hash
    store.write({"state": content, "beacon": beacons, "rotation": rotation, "meta": meta})
    joined.write({"state": {b"\xff left over": b"from before"}})
    snapshots, restore = Snapshots(folder / "s", 1), Restore(joined, folder / "r", CHAIN)
    snapshots.take(store)
    snapshots.wait()
    (listed,) = snapshots.list(height + 2)
    assert restore.offer(RequestOfferSnapshot(listed, app_hash)) is OfferResult.ACCEPT
    for number in reversed(range(listed.chunks)):
        request = RequestApplySnapshotChunk(number, snapshots.chunk(height, 1, number))
        assert restore.apply(request).result is ChunkResult.ACCEPT
    assert dict(joined.pairs()) == content
    assert (joined.height, joined.base, joined.app_hash, joined.time_ns) == (height, height, app_hash, salt)
    assert [value for _, value in joined.items("beacon")] == recent
    assert restore.is_done
    store.close()
    joined.close()
    snapshots.close()


BLOCKS = st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1 << 70)), max_size=3), min_size=6, max_size=14)


@given(BLOCKS, st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_chain_goes_on_alike_from_any_of_its_snapshots(
    chain, led_genesis: RequestInitChain, tmp_path_factory: pytest.TempPathFactory, blocks: list, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    store, joined, snapshots = StateStore(folder / "a"), StateStore(folder / "b"), Snapshots(folder / "s", 1)
    app = Application(store, vrf_keys=chain.app._vrf_keys, snapshots=snapshots)
    led = type(chain)(app, app.init_chain(led_genesis))
    place = data.draw(st.integers(0, len(blocks) - 3))
    kept: list[tuple[Snapshot, list[bytes]]] = []
    answers = []
    for number, payments in enumerate(blocks):
        # The block of the snapshot folds whatever it holds; others may be idle.
        payments = payments or [(0, 1)] * (number == place)
        answers.append(led.block([led.payment(amount, bytes([to]) * 20) for to, amount in payments]))
        snapshots.wait()
        if number == place:
            newest = snapshots.list(1 << 40)[0]
            kept.append((newest, [snapshots.chunk(newest.height, 1, each) for each in range(newest.chunks)]))
    ((snapshot, chunks),) = kept
    assert snapshot.height == place + 1
    assert store.chain is not None
    other = Application(joined, vrf_keys=chain.app._vrf_keys, restore=Restore(joined, folder / "r", store.chain))
    offer = RequestOfferSnapshot(snapshot, led.app_hashes[place])
    assert other.offer_snapshot(offer).result is OfferResult.ACCEPT
    assert set(apply_all(other, chunks)) == {ChunkResult.ACCEPT}
    assert other.info(RequestInfo()).last_block_app_hash == led.app_hashes[place]
    for request, answer in zip(led.log[place + 1 :], answers[place + 1 :], strict=True):
        assert other.finalize_block(request) == answer
        other.commit(RequestCommit())
    snapshots.close()
    store.close()
    joined.close()
