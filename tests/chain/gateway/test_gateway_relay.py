"""JSON-RPC through the gateway: a light client proves what it gets through it, and no more passes than should."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from litestar.testing import TestClient

from chain.crypto.address import address
from chain.gateway.relay import MAX_BATCH, METHODS
from chain.gateway.server import Ready, serve
from chain.gateway.settings import Settings
from chain.wallet.client import ChainClient
from chain.wire.transactions import ANKR
from tests.chain.gateway.conftest import ALICE, HUB, QUICK, Past
from tests.chain.node.conftest import NodeUnderTest

Client = TestClient[Any]


@pytest.fixture(scope="module")
def served(node: NodeUnderTest, past: Past, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gateway as its command runs it, on a port of its own."""
    ready, up, stop = [], threading.Event(), asyncio.Event()
    loop, home = asyncio.new_event_loop(), tmp_path_factory.mktemp("served")

    def told(where: Ready) -> None:
        ready.append(where.url)
        up.set()

    thread = threading.Thread(
        target=lambda: loop.run_until_complete(serve(Settings(home, node.url, port=0), on_ready=told, stop=stop))
    )
    thread.start()
    assert up.wait(30)
    yield ready[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    assert not thread.is_alive()


def asked(gateway: Client, content: Any) -> Any:
    answer = gateway.post("/rpc", json=content)
    return answer.json() if answer.content else None


def test_a_light_client_behind_the_gateway_needs_to_believe_nobody(served: str, past: Past) -> None:
    client = ChainClient(f"{served}/rpc", pacing=QUICK)
    paid = client.transfer(HUB, address(ALICE.public), ANKR)
    assert client.wait(paid).state == "committed"
    assert client.operators().value and client.supply().value.total_atto == 10_000_000_000 * ANKR
    assert client.validators(past.height).height == past.height


def test_answers_keep_the_ids_and_the_order_of_a_batch(gateway: Client, past: Past) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "health"},
        {"jsonrpc": "2.0", "method": "health"},
        {"jsonrpc": "2.0", "id": 7, "method": "net_info"},
        {"jsonrpc": "2.0", "id": 8, "method": "block", "params": {"height": "999999999"}},
        {"jsonrpc": "2.0", "id": 9, "method": "header", "params": [str(past.height)]},
    ]
    answers = asked(gateway, batch)
    assert [each["id"] for each in answers] == ["a", 7, 8, 9]
    assert answers[0]["result"] == {} and answers[3]["result"]["header"]["height"] == str(past.height)
    assert answers[1]["error"]["code"] == -32601 and "net_info" in answers[1]["error"]["data"]
    assert answers[2]["error"]["code"] == -32603
    assert asked(gateway, batch[0])["id"] == "a" and asked(gateway, batch[1]) is None


def test_only_methods_of_the_list_reach_the_node(gateway: Client, node: NodeUnderTest) -> None:
    routes = urllib3.request("GET", node.url + "/").json()["routes"]
    assert set(routes) > METHODS, "every method of the list is one of the node's"
    for method in set(routes) - METHODS:
        assert asked(gateway, {"id": 1, "method": method})["error"]["code"] == -32601


def test_batches_and_bodies_are_bounded(gateway: Client) -> None:
    one = {"id": 1, "method": "health"}
    assert len(asked(gateway, [one] * MAX_BATCH)) == MAX_BATCH
    assert asked(gateway, [one] * (MAX_BATCH + 1))["error"]["code"] == -32600
    assert gateway.post("/rpc", content=b"[" * 100_000).status_code == 400
    assert gateway.post("/rpc", content=b" " * 3_000_000).status_code == 413


def test_a_gateway_without_its_node_starts_and_says_so(tmp_path: Path) -> None:
    gone = Settings(tmp_path, "http://127.0.0.1:9", port=0)
    said: list[str] = []

    async def life() -> None:
        stop = asyncio.Event()
        up = asyncio.Event()

        def told(where: Ready) -> None:
            said.append(where.url)
            up.set()

        running = asyncio.create_task(serve(gone, on_ready=told, stop=stop))
        await asyncio.wait_for(up.wait(), 30)
        answer = await asyncio.to_thread(urllib3.request, "GET", f"{said[0]}/v1/status")
        rpc = await asyncio.to_thread(
            urllib3.request, "POST", f"{said[0]}/rpc", body=json.dumps({"id": 1, "method": "status"})
        )
        assert (answer.status, answer.json()["code"]) == (503, "unreachable")
        assert rpc.json()["error"]["code"] == -32603
        stop.set()
        await asyncio.wait_for(running, 30)

    asyncio.run(life())
