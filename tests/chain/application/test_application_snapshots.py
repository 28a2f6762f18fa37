"""Snapshots: what is written, what is kept, what a joining node makes of it, and of what an attacker sends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.application import block_meta, snapshot_format
from chain.application.abci import (
    ChunkResult,
    OfferResult,
    RequestApplySnapshotChunk,
    RequestCommit,
    RequestInfo,
    RequestInitChain,
    RequestListSnapshots,
    RequestLoadSnapshotChunk,
    RequestOfferSnapshot,
    RequestQuery,
    Snapshot,
    ValidatorUpdate,
)
from chain.application.app import Application
from chain.application.database import Database, Interrupted
from chain.application.restore import Restore
from chain.application.snapshot_format import Manifest, chunks_of, digest_of, records_of
from chain.application.snapshots import Snapshots
from chain.application.store import StateStore, height_key
from chain.crypto.sparse import SparseTree
from chain.errors import Malformed
from chain.wire.state import account_key

POWER = 10**9
CHAIN = b"chain"


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


def test_snapshots_are_of_folding_blocks_and_the_last_two_are_kept(source: Source) -> None:
    listed = source.chain.app.list_snapshots(RequestListSnapshots()).snapshots
    # Every third block is idle: 15 is, so its stretch has its snapshot one later; that of 20 is whole and proven.
    assert [each.height for each in listed] == [20, 16]
    assert sorted(path.name for path in source.folder.iterdir()) == ["16", "20"]
    # A newcomer needs the headers of the two heights after it.
    assert [each.height for each in source.snapshots.list(21)] == [16]


def test_blocks_go_on_while_a_snapshot_is_written_and_do_not_change_it(source: Source, join, monkeypatch) -> None:
    store = source.chain.app._store
    view = store.view()
    before = list(view.items("state"))
    for number in range(3):
        source.chain.block([source.chain.payment(to=bytes([200 + number]) * 20)])
    assert list(view.items("state")) == before != list(store.pairs())
    view.end()
    with pytest.raises(Interrupted):
        list(view.items("state"))


def test_a_store_that_grows_ends_what_is_read_of_it(tmp_path: Path) -> None:
    database = Database(tmp_path, ("state",), initial_bytes=1 << 16)
    database.write({"state": {b"%04d" % number: b"v" for number in range(400)}})
    view = database.view()
    reading = view.items("state")
    assert next(reading) == (b"0000", b"v")
    database.write({"state": {b"large": bytes(1 << 18)}})
    with pytest.raises(Interrupted):
        list(reading)
    assert database.get("state", b"large") == bytes(1 << 18)
    database.close()


def test_torn_and_damaged_snapshots_are_not_offered(source: Source) -> None:
    (source.folder / "25.new").mkdir()
    (source.folder / "25.new" / "0").write_bytes(b"torn")
    (source.folder / "26").mkdir()
    chunk = source.folder / "16" / "1"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    again = Snapshots(source.folder, 5)
    assert [each.height for each in again.list(100)] == [20]
    assert not (source.folder / "25.new").exists()
    # Bits that rot afterwards are not sent either.
    rotten = source.folder / "20" / "0"
    rotten.write_bytes(bytes(rotten.stat().st_size))
    assert again.chunk(20, 1, 0) == b"" == again.chunk(20, 2, 1) == again.chunk(20, 1, 10_000) == again.chunk(3, 1, 0)
    assert again.chunk(20, 1, 1)
    again.close()


def test_a_damaged_snapshot_gives_way_to_a_whole_one_of_its_height(source: Source) -> None:
    (source.folder / "23").mkdir()
    (source.folder / "23" / "0").write_bytes(b"torn")
    assert [each.height for each in source.snapshots.list(100)] == [20, 16]
    source.snapshots.take(source.chain.app._store)
    source.snapshots.wait()
    assert [each.height for each in source.snapshots.list(100)] == [23, 20]


def test_a_disk_that_is_full_costs_a_snapshot_and_no_block(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("chain.application.snapshots.write_durably", full)
    for _ in range(5):
        source.chain.block([source.chain.payment()])
        source.snapshots.wait()
    assert sorted(path.name for path in source.folder.iterdir()) == ["16", "20"]


def test_a_chain_that_is_not_led_makes_none(chain, tmp_path: Path, genesis_request: RequestInitChain) -> None:
    store, snapshots = StateStore(tmp_path / "unled"), Snapshots(tmp_path / "snapshots", 1)
    app = Application(store, vrf_keys=chain.app._vrf_keys, snapshots=snapshots)
    unled = type(chain)(app, app.init_chain(genesis_request))
    for _ in range(4):
        unled.block([unled.payment()])
    snapshots.close()
    assert list((tmp_path / "snapshots").iterdir()) == []
    assert store.state(block_meta.MARK_KEY) is None
    store.close()


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


def of_manifest(manifest: Manifest) -> Snapshot:
    encoded = manifest.encode()
    return Snapshot(manifest.height, 1, len(manifest.chunks), digest_of(encoded), encoded)


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


def forged(source: Source, records: list[tuple[str, bytes, bytes]], count: int | None = None) -> tuple[Snapshot, list]:
    """A snapshot whose manifest and chunks agree, over records of an attacker's choice."""
    return of_chunks(source, list(chunks_of(records)), len(records) if count is None else count)


def of_chunks(source: Source, chunks: list[bytes], count: int) -> tuple[Snapshot, list[bytes]]:
    manifest = Manifest.decode(source.offer().snapshot.metadata)
    rows = tuple((len(chunk), digest_of(chunk)) for chunk in chunks)
    return of_manifest(replace(manifest, records=count, chunks=rows)), chunks


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


PROGRAM = """
import sys
from pathlib import Path
from chain.application import restore, snapshots
from chain.application.abci import *
from chain.application.app import Application
from chain.application.store import StateStore

kind, home, source, moment = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
write, count = snapshots.write_durably, 0

def slow(path, content):
    global count
    write(path, content)
    count += 1
    if count == moment:
        print("now", flush=True)
        sys.stdin.readline()

snapshots.write_durably = restore.write_durably = slow
if kind == "take":
    from chain.application import snapshot_format
    snapshot_format.CHUNK_BYTES = 2_000
    taken = snapshots.Snapshots(home, 1)
    taken.take(StateStore(source))
    taken.wait()
else:
    from chain.application.snapshots import Snapshots
    kept = Snapshots(source, 0)
    newest = kept.list(1 << 40)[0]
    store = StateStore(home)
    chain = restore.Manifest.decode(newest.metadata).chain
    app = Application(store, restore=restore.Restore(store, home / "restore", chain))
    app.offer_snapshot(RequestOfferSnapshot(newest, restore.Manifest.decode(newest.metadata).app_hash))
    if moment == 0:
        store.replace, replace = (lambda contents: replace(lambda: half(contents))), store.replace
    def half(contents):
        for number, record in enumerate(contents()):
            if number == 20:
                print("now", flush=True)
                sys.stdin.readline()
            yield record
    for number in range(newest.chunks):
        app.apply_snapshot_chunk(RequestApplySnapshotChunk(number, kept.chunk(newest.height, 1, number)))
print("end", flush=True)
"""


def killed_at(*arguments: object) -> None:
    """Runs the program until it says that it is where it should be killed, and kills it."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.readline().strip()
        child.kill()
    assert said == "now"


@pytest.mark.parametrize("moment", [1, 3])
def test_kill_9_while_a_snapshot_is_written_leaves_none(source: Source, tmp_path: Path, moment: int) -> None:
    source.chain.app._store.close()
    killed_at("take", tmp_path / "killed", tmp_path / "source", moment)
    torn = [path.name for path in (tmp_path / "killed").iterdir()]
    assert torn == ["23.new"]
    again = Snapshots(tmp_path / "killed", 1)
    assert again.list(1 << 40) == () and list((tmp_path / "killed").iterdir()) == []
    store = StateStore(tmp_path / "source")
    again.take(store)
    again.wait()
    assert [each.height for each in again.list(1 << 40)] == [23]
    again.close()
    store.close()


@pytest.mark.parametrize("moment", [2, 0])
def test_kill_9_while_a_snapshot_is_restored_leaves_a_home_that_begins_again(
    source: Source, join, tmp_path: Path, moment: int
) -> None:
    """After the second chunk, and in the midst of the one transaction."""
    killed_at("restore", tmp_path / "joined", source.folder, moment)
    app = join()
    assert app.info(RequestInfo()).last_block_height == 0
    assert app.offer_snapshot(source.offer()).result is OfferResult.ACCEPT
    assert set(apply_all(app, source.chunks())) == {ChunkResult.ACCEPT}


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


def test_a_record_that_fits_into_no_chunk_is_refused_when_it_is_written() -> None:
    with pytest.raises(Malformed, match="does not fit"):
        list(chunks_of([("state", b"k", bytes(snapshot_format.MAX_CHUNK_BYTES))]))
    large = [("state", b"a", b"1"), ("state", b"k", bytes(3_000)), ("state", b"z", b"1")]
    assert len(list(chunks_of(large))) == 3
    assert list(records_of(chunks_of(large))) == large
