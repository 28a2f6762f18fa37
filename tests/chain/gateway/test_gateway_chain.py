"""The clients behind the handlers: bounded, never shared between two questions, and all of one beginning."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from litestar.testing import TestClient

from chain.errors import Malformed, Refused, Unavailable
from chain.gateway import chain as chain_module
from chain.gateway.chain import CLIENTS, Chain
from chain.light.rpc import RpcClient
from chain.wallet.client import ChainClient
from chain.wire.cometbft import SignedHeader
from tests.chain.gateway.conftest import ALICE_TEXT, Past
from tests.chain.node.conftest import NodeUnderTest


@pytest.fixture
async def chain(node: NodeUnderTest) -> AsyncIterator[Chain]:
    chain = Chain(node.url)
    yield chain
    await asyncio.to_thread(chain.close)


async def test_who_comes_when_all_clients_are_busy_is_told_when_to_come_again(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_module, "PATIENCE_S", 0.05)
    all_busy, go_on = threading.Barrier(CLIENTS + 1), threading.Event()

    def question(client: ChainClient) -> bool:
        all_busy.wait(30)
        return go_on.wait(30)

    busy = [asyncio.create_task(chain.ask(question)) for _ in range(CLIENTS)]
    await asyncio.to_thread(all_busy.wait, 30)
    with pytest.raises(Unavailable) as refused:
        await chain.ask(lambda client: None)
    assert refused.value.code == "gateway_busy" and refused.value.retry_after_s is not None
    go_on.set()
    assert await asyncio.gather(*busy) == [True] * CLIENTS
    assert await chain.ask(lambda client: client.supply().height) > 0


async def test_an_asker_that_goes_away_leaves_its_client_to_the_thread_that_uses_it(chain: Chain) -> None:
    begun, go_on, used = threading.Event(), threading.Event(), []

    def question(client: ChainClient) -> None:
        used.append(client)
        begun.set()
        go_on.wait(30)

    gone = asyncio.create_task(chain.ask(question))
    await asyncio.to_thread(begun.wait, 30)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    others = [await chain.ask(lambda client: client) for _ in range(3 * CLIENTS)]
    assert used[0] not in others, "two threads would have had one client"
    go_on.set()
    while used[0] not in others:
        others.append(await chain.ask(lambda client: client))


async def test_all_clients_begin_at_the_same_header(chain: Chain) -> None:
    clients = [await chain.ask(lambda client: client) for _ in range(CLIENTS)]
    assert len(set(map(id, clients))) == CLIENTS
    assert len({client.light._anchor for client in clients}) == 1 and len({client.trusted for client in clients}) == 1


async def test_what_a_node_says_that_cannot_be_read_is_not_the_askers_fault(chain: Chain) -> None:
    def question(client: ChainClient) -> None:
        raise Malformed("malformed", "the node's answer: a hash is not hexadecimal")

    with pytest.raises(Refused) as refused:
        await chain.ask(question)
    assert refused.value.code == "proof_invalid"


async def test_a_block_that_the_node_has_let_go_is_no_outage(
    chain: Chain, node: NodeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.node.blocks, "block", lambda height: None)
    with pytest.raises(Refused) as refused:
        await chain.ask(lambda client: client.rpc.block(2))
    assert refused.value.code == "height_unknown"


async def test_a_node_that_comes_later_is_asked_then(node: NodeUnderTest) -> None:
    chain = Chain("http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        await chain.ask(lambda client: client)
    chain._node = node.url
    assert await chain.ask(lambda client: client.supply().height) > 0
    await asyncio.to_thread(chain.close)


def test_many_at_once_get_each_their_own_answer(
    gateway: TestClient[Any], past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_module, "PATIENCE_S", 60)
    paths = [f"/v1/accounts/{ALICE_TEXT}", f"/v1/deals/{past.deal}", "/v1/validators", "/v1/bridge"] * 10
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(gateway.get, paths))
    assert {each.status_code for each in answers} == {200}, [each.text for each in answers if each.status_code != 200]
    expected = ["nonce", "escrow_atto", "validators", "guardians"] * 10
    assert all(name in each.json() for name, each in zip(expected, answers, strict=True))


async def test_the_way_back_to_an_old_block_is_gone_once_for_all_clients(
    chain: Chain, node: NodeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await chain.ask(lambda client: client)
    assert chain._trust is not None
    beginning = chain._trust.height
    asked, honest = [], RpcClient.signed_header

    def noted(self: RpcClient, height: int | None = None) -> SignedHeader:
        asked.append(height)
        return honest(self, height)

    monkeypatch.setattr(RpcClient, "signed_header", noted)
    for _ in range(2 * CLIENTS):
        assert await chain.ask(lambda client: client.light.header(1).height) == 1
    below = [height for height in asked if height is not None and height < beginning]
    assert below and len(below) == len(set(below))
