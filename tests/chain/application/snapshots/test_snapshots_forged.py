"""What a joining node makes of what an attacker sends: offers, chunks and whole snapshots that lie."""

from __future__ import annotations

from dataclasses import replace

from chain.application import snapshot_format
from chain.application.abci import (
    ChunkResult,
    OfferResult,
    RequestApplySnapshotChunk,
    RequestOfferSnapshot,
    Snapshot,
)
from chain.application.app import Application
from chain.application.snapshot_format import Manifest, chunks_of, digest_of, records_of
from chain.application.store import height_key
from tests.chain.application.snapshots.conftest import Source, apply_all, of_manifest


def test_offers_of_another_format_chain_state_or_shape_are_refused(source: Source, join) -> None:
    offer, app = source.offer(), join()
    good, manifest = offer.snapshot, Manifest.decode(offer.snapshot.metadata)

    def result(snapshot: Snapshot, app_hash: bytes = offer.app_hash) -> OfferResult:
        return app.offer_snapshot(RequestOfferSnapshot(snapshot, app_hash)).result

    assert result(replace(good, format=2)) is OfferResult.REJECT_FORMAT
    for liar in (
        replace(good, hash=bytes(32)),
        replace(good, chunks=good.chunks + 1),
        replace(good, metadata=b""),
        replace(good, metadata=good.metadata[:-1]),
    ):
        assert result(liar) is OfferResult.REJECT_SENDER
    bombs = (
        replace(manifest, records=1 << 60),
        replace(manifest, chunks=((1 << 40, bytes(32)),)),
        replace(manifest, chunks=((1, bytes(32)),) * (snapshot_format.MAX_CHUNKS + 1)),
        replace(manifest, chunks=()),
        replace(manifest, chunks=((1, b"short"),)),
        replace(manifest, height=-1),
        replace(manifest, time_ns="now"),
    )
    for bomb in bombs:
        assert result(of_manifest(bomb)) is OfferResult.REJECT_SENDER
    assert result(good, bytes(32)) is OfferResult.REJECT
    assert result(replace(good, height=good.height + 1)) is OfferResult.REJECT
    assert join("stranger", chain=b"another").offer_snapshot(offer).result is OfferResult.REJECT
    assert Application(app._store).offer_snapshot(offer).result is OfferResult.REJECT
    assert app.apply_snapshot_chunk(RequestApplySnapshotChunk(0, b"")).result is ChunkResult.RETRY_SNAPSHOT
    assert app.height == 0


def test_a_chunk_that_is_not_the_snapshots_is_fetched_again_from_others(source: Source, join) -> None:
    chunks, app = source.chunks(), join()
    assert app.offer_snapshot(source.offer()).result is OfferResult.ACCEPT
    for wrong in (b"", chunks[0][:-1], chunks[0] + b"\0", chunks[1], bytes(len(chunks[0]))):
        answer = app.apply_snapshot_chunk(RequestApplySnapshotChunk(0, wrong, "liar"))
        assert (answer.result, answer.refetch_chunks, answer.reject_senders) == (ChunkResult.RETRY, (0,), ("liar",))
    beyond = app.apply_snapshot_chunk(RequestApplySnapshotChunk(len(chunks), b"", "liar"))
    assert beyond.result is ChunkResult.REJECT_SNAPSHOT
    assert set(apply_all(app, chunks)) == {ChunkResult.ACCEPT}
    assert app.height == source.offer().snapshot.height


def test_a_snapshot_that_is_whole_but_forged_is_refused_and_leaves_nothing(source: Source, join) -> None:
    good = list(records_of(source.chunks()))
    place = next(at for at, record in enumerate(good) if record[0] == "state")
    beacon = next(at for at, record in enumerate(good) if record[0] == "beacon")
    rotation = next(at for at, record in enumerate(good) if record[0] == "rotation")
    table, key, value = good[place]

    def changed(at: int, record: tuple[str, bytes, bytes]) -> list[tuple[str, bytes, bytes]]:
        return [*good[:at], record, *good[at + 1 :]]

    flipped = bytes([value[0] ^ 1]) + value[1:]
    forgeries = {
        "another value": forged(source, changed(place, (table, key, flipped))),
        "a missing key": forged(source, good[:place] + good[place + 1 :]),
        "one key more": forged(source, [("state", b"\0", b""), *good]),
        "a duplicate": forged(source, [good[0], *good]),
        "unsorted": forged(source, [good[1], good[0], *good[2:]]),
        "another beacon": forged(source, changed(beacon, ("beacon", good[beacon][1], bytes(32)))),
        "a beacon less": forged(source, good[:beacon] + good[beacon + 1 :]),
        "a later beacon": forged(source, [*good[:rotation], ("beacon", height_key(99), bytes(32)), *good[rotation:]]),
        "many beacons": forged(
            source, [*good[:beacon], *(("beacon", height_key(n), bytes(32)) for n in range(500)), *good[rotation:]]
        ),
        "another rotation": forged(source, changed(rotation, ("rotation", good[rotation][1], good[rotation][2][:-1]))),
        "no rotation": forged(source, good[:rotation]),
        "another table's key": forged(source, [*good, ("rotation", b"z", b"")]),
        "another count": forged(source, good, len(good) - 1),
        "cut off": of_chunks(source, [*source.chunks()[:-1], source.chunks()[-1][:-1]], len(good)),
        "an unknown table": of_chunks(source, [*source.chunks(), b"\x09" + bytes(6) + b""], len(good)),
        "half a head": of_chunks(source, [*source.chunks(), b"\x00\x00"], len(good)),
        "lengths beyond": of_chunks(source, [*source.chunks(), b"\x02\xff\xff\xff\xff\xff\xff" * 2], len(good)),
    }
    app = join()
    for name, (snapshot, chunks) in forgeries.items():
        assert app.offer_snapshot(RequestOfferSnapshot(snapshot, source.offer().app_hash)).result is OfferResult.ACCEPT
        results = apply_all(app, chunks)
        assert results[-1] is ChunkResult.REJECT_SNAPSHOT, name
        assert (app.height, app._store.chain, list(app._store.pairs())) == (0, None, []), name
    assert app.offer_snapshot(source.offer()).result is OfferResult.ACCEPT
    assert set(apply_all(app, source.chunks())) == {ChunkResult.ACCEPT}


def test_another_time_than_the_chains_is_refused(source: Source, join) -> None:
    manifest = Manifest.decode(source.offer().snapshot.metadata)
    offer = RequestOfferSnapshot(of_manifest(replace(manifest, time_ns=manifest.time_ns + 1)), source.offer().app_hash)
    app = join()
    assert app.offer_snapshot(offer).result is OfferResult.ACCEPT
    assert apply_all(app, source.chunks())[-1] is ChunkResult.REJECT_SNAPSHOT


def forged(source: Source, records: list[tuple[str, bytes, bytes]], count: int | None = None) -> tuple[Snapshot, list]:
    """A snapshot whose manifest and chunks agree, over records of an attacker's choice."""
    return of_chunks(source, list(chunks_of(records)), len(records) if count is None else count)


def of_chunks(source: Source, chunks: list[bytes], count: int) -> tuple[Snapshot, list[bytes]]:
    manifest = Manifest.decode(source.offer().snapshot.metadata)
    rows = tuple((len(chunk), digest_of(chunk)) for chunk in chunks)
    return of_manifest(replace(manifest, records=count, chunks=rows)), chunks
