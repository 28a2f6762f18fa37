"""Snapshots as they are written: of which heights, which are kept, and what never is offered."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.application import block_meta, snapshot_format
from chain.application.abci import (
    RequestInitChain,
    RequestListSnapshots,
)
from chain.application.app import Application
from chain.application.database import Database, Interrupted
from chain.application.snapshot_format import chunks_of, records_of
from chain.application.snapshots import Snapshots
from chain.application.store import StateStore
from chain.errors import Malformed
from tests.chain.application.snapshots.conftest import Source


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


def test_a_record_that_fits_into_no_chunk_is_refused_when_it_is_written() -> None:
    with pytest.raises(Malformed, match="does not fit"):
        list(chunks_of([("state", b"k", bytes(snapshot_format.MAX_CHUNK_BYTES))]))
    large = [("state", b"a", b"1"), ("state", b"k", bytes(3_000)), ("state", b"z", b"1")]
    assert len(list(chunks_of(large))) == 3
    assert list(records_of(chunks_of(large))) == large
