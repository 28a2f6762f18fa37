"""The index against a real node: complete, the same however often it was interrupted, and not to be lied to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from chain.crypto.address import address
from chain.errors import Faulty, Malformed, Refused
from chain.history import indexer
from chain.history.indexer import Indexer, Progress
from chain.history.rows import storable, write_block
from chain.history.schema import about, blocks, events, mentions, transactions
from chain.history.search import History
from chain.history.shown import happening_document
from chain.history.store import open_index, read_index
from chain.light.rpc import BlockResults, RpcClient
from tests.chain.history.conftest import Past
from tests.chain.node.conftest import HUB


def index_to(place: str, url: str, height: int, batch_blocks: int = 7) -> Indexer:
    made = Indexer(RpcClient(url), open_index(place), batch_blocks=batch_blocks)
    while made.height < height:
        made.step()
    return made


def rows(place: str, height: int) -> dict[str, list[tuple[Any, ...]]]:
    with read_index(place).read() as connection:
        asked = {
            table: select(table).where(table.c.height <= height).order_by(*table.primary_key)
            for table in (blocks, transactions, events, mentions)
        }
        return {table.name: [tuple(row) for row in connection.execute(question)] for table, question in asked.items()}


def test_every_block_and_transaction_is_there_once(past: Past, place: str) -> None:
    index_to(place, past.node.url, past.height)
    found = rows(place, past.height)
    assert [row[0] for row in found["blocks"]] == list(range(1, past.height + 1))
    for height, block_hash, time_ns, _, count in found["blocks"]:
        header = past.node.rpc.signed_header(height).header
        assert (block_hash, time_ns) == (header.hash(), header.time_ns)
        assert count == sum(row[0] == height for row in found["transactions"])


def test_an_address_finds_its_payments_newest_first(past: Past, place: str) -> None:
    index_to(place, past.node.url, past.height)
    history, alice = History(read_index(place)), address(past.alice.public)
    found = [happening_document(one) for one in history.by_mention("address", alice)]
    assert [(one["from"] != one.get("to"), one["amount"], one["result"]) for one in found] == [
        *[(True, "1", "ok")] * 3,
        (True, "100", "ok"),
    ]
    assert [one["proven_roles"] for one in found] == [["sender"]] * 3 + [["to"]]
    first = history.by_mention("address", alice, limit=2)
    rest = history.by_mention("address", alice, before=(first[-1].height, first[-1].position))
    assert [*first, *rest] == history.by_mention("address", alice)
    assert len(history.by_mention("address", address(HUB.public))) >= 4
    assert history.by_mention("device", bytes(32)) == [] == history.by_mention("deal", b"x")


def test_transactions_blocks_and_epochs_are_found(past: Past, place: str) -> None:
    index_to(place, past.node.url, past.height)
    history = History(read_index(place))
    (paid,) = history.by_hash(past.paid.hash)
    assert (paid.height, paid.position, paid.code) == (past.paid.height, past.paid.index, 0)
    block = history.by_height(paid.height)
    assert block is not None and paid.hash in [one.hash for one in block.happenings]
    assert history.by_height(past.height + 10_000) is None and history.range() == (1, history.range()[1])
    kinds = {
        kind
        for one in range(1, past.height)
        for h in [history.by_height(one)]
        if h
        for e in h.happenings
        for kind, _ in e.events
    }
    assert "reward_epoch" in kinds and "transfer" in kinds


@pytest.mark.parametrize("batch_blocks", [1, 3, 50])
def test_batches_of_any_size_give_the_same_rows(past: Past, new_place: Callable[[], str], batch_blocks: int) -> None:
    one, other = new_place(), new_place()
    index_to(one, past.node.url, past.height)
    index_to(other, past.node.url, past.height, batch_blocks)
    assert rows(one, past.height) == rows(other, past.height)


class Cut(Exception):
    """Where the process dies."""


def test_an_indexer_that_dies_anywhere_in_a_batch_goes_on_as_if_nothing_had_been(
    past: Past, new_place: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = new_place(), new_place()
    index_to(whole, past.node.url, past.height)
    deaths = 0
    while True:
        countdown = deaths * 3 + 1

        def dying(*arguments: Any) -> None:
            nonlocal countdown
            countdown -= 1
            write_block(*arguments)
            if countdown == 0:
                raise Cut

        with monkeypatch.context() as patched:
            patched.setattr(indexer, "write_block", dying)
            try:
                index_to(cut, past.node.url, past.height, batch_blocks=5)
                break
            except Cut:
                deaths += 1
    assert deaths >= 3 and rows(whole, past.height) == rows(cut, past.height)


def lie(monkeypatch: pytest.MonkeyPatch, method: str, change: Callable[[Any], Any]) -> None:
    honest = getattr(RpcClient, method)
    monkeypatch.setattr(RpcClient, method, lambda self, *given, **named: change(honest(self, *given, **named)))


def test_following_stops_when_told(past: Past, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lie(monkeypatch, "status", lambda status: replace(status, height=past.height))
    told: list[Progress] = []
    followed = Indexer(RpcClient(past.node.url), open_index(place), batch_blocks=7)
    followed.follow(told.append, lambda: False)
    assert followed.height == past.height - 1 == sum(one.blocks for one in told)


def test_following_stops_in_the_midst_of_the_past(past: Past, place: str) -> None:
    followed = Indexer(RpcClient(past.node.url), open_index(place), batch_blocks=3)
    followed.follow(lambda _progress: None, lambda: True, lambda: followed.height >= 3)
    assert followed.height < past.height - 1


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("block", lambda block: replace(block, txs=(*block.txs, b"more"))),
        ("block", lambda block: replace(block, txs=block.txs[1:])),
        ("block", lambda block: replace(block, header=replace(block.header, time_ns=block.header.time_ns + 1))),
        ("block_results", lambda found: replace(found, outcomes=found.outcomes[1:])),
        (
            "block_results",
            lambda found: replace(found, outcomes=tuple(replace(one, code=one.code + 1) for one in found.outcomes)),
        ),
    ],
    ids=["a transaction more", "a transaction less", "another time", "a result less", "another code"],
)
def test_nothing_that_a_lying_node_says_gets_in(
    past: Past, place: str, monkeypatch: pytest.MonkeyPatch, method: str, change: Callable[[Any], Any]
) -> None:
    deceived = Indexer(RpcClient(past.node.url), open_index(place), batch_blocks=5)
    lie(monkeypatch, method, change)
    with pytest.raises(Refused) as refused:
        deceived.step()
    assert refused.value.code == "proof_invalid" and deceived.height == 0


def test_an_index_of_another_chain_is_not_continued(past: Past, place: str) -> None:
    index, height = open_index(place), index_to(place, past.node.url, 5).height
    with index.begin() as connection:
        connection.execute(blocks.update().where(blocks.c.height == height).values(hash=bytes(32)))
    with pytest.raises(Refused) as refused:
        Indexer(RpcClient(past.node.url), open_index(place)).step()
    assert refused.value.code == "index_foreign"
    with index.begin() as connection:
        connection.execute(about.update().where(about.c.name == "chain_id").values(value="elsewhere"))
    with pytest.raises(Refused, match="elsewhere"):
        Indexer(RpcClient(past.node.url), open_index(place)).step()


def test_the_header_that_somebody_vouches_for_must_be_reached(past: Past, new_place: Callable[[], str]) -> None:
    rpc, good = RpcClient(past.node.url), past.node.rpc.signed_header(8).header.hash()
    doubtful = Indexer(rpc, open_index(new_place()), (8, bytes(32)), batch_blocks=5)
    doubtful.step()
    with pytest.raises(Refused) as refused:
        doubtful.step()
    assert refused.value.code == "light_invalid" and doubtful.height == 5
    place = new_place()
    Indexer(rpc, open_index(place), (8, good), batch_blocks=20).step()
    with pytest.raises(Refused) as refused:
        Indexer(rpc, open_index(place), (8, bytes(32)))
    assert refused.value.code == "index_foreign"


def test_two_writers_do_not_mix(past: Past, place: str) -> None:
    one, other = (Indexer(RpcClient(past.node.url), open_index(place), batch_blocks=5) for _ in range(2))
    heights = []
    for _ in range(3):
        heights += [one.step().height, other.step().height]
    assert heights == [5, 10, 15, 20, 25, 30] and [row[0] for row in rows(place, 99)["blocks"]] == list(range(1, 31))


def test_a_writer_that_was_overtaken_during_its_batch_writes_nothing_twice(
    past: Past, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, fast = (Indexer(RpcClient(past.node.url), open_index(place), batch_blocks=5) for _ in range(2))
    verified = slow._verified

    def overtaken(*arguments: Any) -> Any:
        found = verified(*arguments)
        fast.step()
        return found

    monkeypatch.setattr(slow, "_verified", overtaken)
    assert slow.step().blocks == 0 and [row[0] for row in rows(place, 99)["blocks"]] == [1, 2, 3, 4, 5]


def test_an_index_of_another_format_is_refused_as_it_is(past: Past, place: str) -> None:
    index = open_index(place)
    with index.begin() as connection:
        connection.execute(about.update().where(about.c.name == "format").values(value="1"))
    for opening in (open_index, read_index):
        with pytest.raises(Faulty, match="has format 1, this program reads 2; remove it") as failed:
            opening(place)
        assert failed.value.code == "index_invalid"


def test_what_is_no_index_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with pytest.raises(Malformed, match="there is no index"):
        read_index(path)
    path.write_bytes(b"hello " * 1_000)
    with pytest.raises(Faulty) as failed:
        open_index(path)
    assert failed.value.code == "index_invalid"
    with pytest.raises(Faulty):
        read_index(path)


def test_a_nodes_words_of_any_characters_are_kept(past: Past, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL takes no NUL in a text, and neither takes half of a surrogate pair."""
    bad = "a\0b\ud800"

    def worded(found: BlockResults) -> BlockResults:
        told = (*found.events, (bad, [(bad, "ab" * 20)]))
        return replace(found, events=told, outcomes=tuple(replace(one, log=bad) for one in found.outcomes))

    lie(monkeypatch, "block_results", worded)
    index_to(place, past.node.url, 3)
    (block,) = [History(read_index(place)).by_height(2)]
    assert block is not None and block.happenings[0].events[-1] == (storable(bad), {bad: "ab" * 20})
    assert storable(bad) == "a\N{REPLACEMENT CHARACTER}b?" and {one.log for one in block.happenings[1:]} == {
        storable(bad)
    }
    assert History(read_index(place)).by_mention("address", bytes.fromhex("ab" * 20))
