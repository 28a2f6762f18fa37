"""What a joining node makes of a snapshot: the same chain, without a past, and again after an interruption."""

from __future__ import annotations

from pathlib import Path

from chain.application.abci import (
    ChunkResult,
    OfferResult,
    RequestApplySnapshotChunk,
    RequestCommit,
    RequestInfo,
    RequestQuery,
)
from chain.wire.state import account_key
from tests.chain.application.snapshots.conftest import Source, apply_all


def test_a_node_that_begins_with_a_snapshot_goes_on_with_the_same_app_hashes(source: Source, join) -> None:
    offer, app = source.offer(), join()
    assert offer.snapshot.chunks > 3
    assert app.offer_snapshot(offer).result is OfferResult.ACCEPT
    assert set(apply_all(app, source.chunks())) == {ChunkResult.ACCEPT}
    height = offer.snapshot.height
    info = app.info(RequestInfo())
    assert (info.last_block_height, info.last_block_app_hash) == (height, offer.app_hash)
    for restart in (False, True):
        app = join() if restart else app
        for request in source.chain.log[app.height :][: 2 if not restart else None]:
            answer = app.finalize_block(request)
            assert answer.app_hash == source.chain.app_hashes[request.height - 1]
            app.commit(RequestCommit())
    assert app.height == source.chain.app.height
    # Validator updates too, which no app hash covers: the next ones are drawn alike.
    request = source.chain.proposal([source.chain.payment()])
    assert app.finalize_block(request) == source.chain.app.finalize_block(request)


def test_a_snapshot_has_no_past_that_could_be_asked_for(source: Source, join) -> None:
    offer, app = source.offer(), join()
    app.offer_snapshot(offer)
    apply_all(app, source.chunks())
    height = offer.snapshot.height
    key = account_key(bytes([1]) * 20)
    assert app.query(RequestQuery("/state", key, height=height - 1)).code != 0
    assert app.query(RequestQuery("/state", key, height=height)).value
    assert app.query(RequestQuery("/beacon", b"%d" % (height - 1))).value == source.chain.app.beacon(height - 1)


def test_a_restore_that_was_interrupted_begins_again(source: Source, join, tmp_path: Path) -> None:
    chunks, app = source.chunks(), join()
    app.offer_snapshot(source.offer())
    apply_all(app, chunks[:2])
    assert len(list((tmp_path / "joined-restore").iterdir())) == 2
    app = join()
    assert not (tmp_path / "joined-restore").exists()
    assert app.apply_snapshot_chunk(RequestApplySnapshotChunk(2, chunks[2])).result is ChunkResult.RETRY_SNAPSHOT
    assert app.offer_snapshot(source.offer()).result is OfferResult.ACCEPT
    assert set(apply_all(app, chunks)) == {ChunkResult.ACCEPT}
    # An engine that died before it knew of it offers once more.
    app = join()
    assert app.height == source.offer().snapshot.height
    assert app.offer_snapshot(source.offer()).result is OfferResult.ACCEPT
    assert set(apply_all(app, chunks)) == {ChunkResult.ACCEPT}
