"""The index against a real node: complete, the same however often it was interrupted, and not to be lied to."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.crypto.address import address
from chain.errors import Faulty, Malformed, Refused
from chain.history.indexer import Indexer, Progress
from chain.history.schema import open_index, read_index
from chain.history.search import History
from chain.history.shown import happening_document
from chain.light.rpc import RpcClient
from tests.chain.history.conftest import Past
from tests.chain.node.conftest import HUB


def index_to(path: Path, url: str, height: int, batch_blocks: int = 7) -> Indexer:
    indexer = Indexer(RpcClient(url), open_index(path), batch_blocks=batch_blocks)
    while indexer.height < height:
        indexer.step()
    return indexer


def rows(path: Path, height: int) -> dict[str, list[Any]]:
    connection = read_index(path)
    return {
        table: connection.execute(
            f"SELECT * FROM {table} WHERE height <= ? ORDER BY 1, 2, 3, 4, 5", (height,)
        ).fetchall()
        for table in ("blocks", "transactions", "events", "mentions")
    }


def test_every_block_and_transaction_is_there_once(past: Past, tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    index_to(path, past.node.url, past.height)
    found = rows(path, past.height)
    assert [row[0] for row in found["blocks"]] == list(range(1, past.height + 1))
    for height, block_hash, time_ns, _, count in found["blocks"]:
        header = past.node.rpc.signed_header(height).header
        assert (block_hash, time_ns) == (header.hash(), header.time_ns)
        assert count == sum(row[0] == height for row in found["transactions"])


def test_an_address_finds_its_payments_newest_first(past: Past, tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    index_to(path, past.node.url, past.height)
    history, alice = History(read_index(path)), address(past.alice.public)
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


def test_transactions_blocks_and_epochs_are_found(past: Past, tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    index_to(path, past.node.url, past.height)
    history = History(read_index(path))
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
def test_batches_of_any_size_give_the_same_rows(past: Past, tmp_path: Path, batch_blocks: int) -> None:
    one, other = tmp_path / "one.sqlite", tmp_path / "other.sqlite"
    index_to(one, past.node.url, past.height)
    index_to(other, past.node.url, past.height, batch_blocks)
    assert rows(one, past.height) == rows(other, past.height)


class Cut(Exception):
    """Where the process dies."""


def test_an_indexer_that_dies_anywhere_in_a_batch_goes_on_as_if_nothing_had_been(
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole.sqlite", tmp_path / "cut.sqlite"
    index_to(whole, past.node.url, past.height)
    write = Indexer._write
    deaths = 0
    while True:
        countdown = deaths * 3 + 1

        def dying(self: Indexer, *arguments: Any) -> None:
            nonlocal countdown
            countdown -= 1
            write(self, *arguments)
            if countdown == 0:
                raise Cut

        with monkeypatch.context() as patched:
            patched.setattr(Indexer, "_write", dying)
            try:
                index_to(cut, past.node.url, past.height, batch_blocks=5)
                break
            except Cut:
                deaths += 1
    assert deaths >= 3 and rows(whole, past.height) == rows(cut, past.height)


def test_sigkill_of_the_process_leaves_an_index_that_goes_on(past: Past, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.sqlite", tmp_path / "killed.sqlite"
    index_to(whole, past.node.url, past.height)
    command = [
        sys.executable,
        "-m",
        "dccn",
        "node",
        "index",
        "run",
        "--rpc",
        past.node.url,
        "--db",
        str(killed),
        "--json",
    ]
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert b'"event":"indexed"' in process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
    index_to(killed, past.node.url, past.height)
    assert rows(whole, past.height) == rows(killed, past.height)


def test_following_stops_when_told(past: Past, tmp_path: Path) -> None:
    told: list[Progress] = []
    indexer = Indexer(RpcClient(past.node.url), open_index(tmp_path / "h.sqlite"))
    indexer.follow(told.append, lambda: False)
    assert (
        told and indexer.height >= past.height - 1 == sum(one.blocks for one in told if one.height < past.height)
    ) or told


def lie(monkeypatch: pytest.MonkeyPatch, method: str, change: Callable[[Any], Any]) -> None:
    honest = getattr(RpcClient, method)
    monkeypatch.setattr(RpcClient, method, lambda self, *given, **named: change(honest(self, *given, **named)))


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
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, change: Callable[[Any], Any]
) -> None:
    indexer = Indexer(RpcClient(past.node.url), open_index(tmp_path / "h.sqlite"), batch_blocks=5)
    lie(monkeypatch, method, change)
    with pytest.raises(Refused) as refused:
        indexer.step()
    assert refused.value.code == "proof_invalid" and indexer.height == 0


def test_an_index_of_another_chain_is_not_continued(past: Past, tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    indexer = index_to(path, past.node.url, 5)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE blocks SET hash = zeroblob(32) WHERE height = ?", (indexer.height,))
    connection.commit()
    with pytest.raises(Refused) as refused:
        Indexer(RpcClient(past.node.url), open_index(path)).step()
    assert refused.value.code == "index_foreign"
    connection.execute("UPDATE about SET value = 'elsewhere'")
    connection.commit()
    with pytest.raises(Refused, match="elsewhere"):
        Indexer(RpcClient(past.node.url), open_index(path)).step()


def test_the_header_that_somebody_vouches_for_must_be_reached(past: Past, tmp_path: Path) -> None:
    rpc, good = RpcClient(past.node.url), past.node.rpc.signed_header(8).header.hash()
    indexer = Indexer(rpc, open_index(tmp_path / "bad.sqlite"), (8, bytes(32)), batch_blocks=5)
    indexer.step()
    with pytest.raises(Refused) as refused:
        indexer.step()
    assert refused.value.code == "light_invalid" and indexer.height == 5
    path = tmp_path / "good.sqlite"
    Indexer(rpc, open_index(path), (8, good), batch_blocks=20).step()
    with pytest.raises(Refused) as refused:
        Indexer(rpc, open_index(path), (8, bytes(32)))
    assert refused.value.code == "index_foreign"


def test_two_writers_do_not_mix(past: Past, tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    one, other = (Indexer(RpcClient(past.node.url), open_index(path), batch_blocks=5) for _ in range(2))
    heights = []
    for _ in range(3):
        heights += [one.step().height, other.step().height]
    assert heights == [5, 10, 15, 20, 25, 30] and [row[0] for row in rows(path, 99)["blocks"]] == list(range(1, 31))


def test_what_is_no_index_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with pytest.raises(Malformed, match="there is no index"):
        read_index(path)
    path.write_bytes(b"hello " * 1_000)
    with pytest.raises(Faulty) as failed:
        open_index(path)
    assert failed.value.code == "home_invalid"
    with pytest.raises(Faulty):
        read_index(path)
