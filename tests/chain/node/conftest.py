"""A real node with a fast chain: the embedded engine, LMDB and HTTP, in a thread of the test process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from chain.crypto import vrf
from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.ledger.genesis import build_demo_app_state
from chain.ledger.parameters import Parameters
from chain.light.rpc import RpcClient
from chain.node import home as node_home
from chain.node.home import Home
from chain.node.keys import OperatorKeys
from chain.node.server import RunningNode, running
from chain.wire.transactions import ANKR, sign, transfer

FAST = replace(Parameters.demo(), block_interval_ms=25, empty_block_interval_ms=25, reward_epoch_s=1)
CHAIN_ID = "node-test"
HUB = PrivateKey.from_secret("ed25519", bytes(range(32)))


def make_home(path: Path) -> Home:
    operators = [OperatorKeys.generate(f"seed-{number}") for number in range(4)]
    rows = [
        (each.name, each.account.public, each.consensus.public.x, vrf.public_key(each.vrf_secret)) for each in operators
    ]
    node_home.init(
        path,
        chain_id=CHAIN_ID,
        genesis_time_ns=time.time_ns(),
        app_state=build_demo_app_state(address(HUB.public), rows, FAST),
        operators=operators,
    )
    return node_home.load(path)


@dataclass
class NodeUnderTest:
    """What a test needs of the node: its address, its home, and a way to wait for blocks."""

    home: Home
    url: str
    loop: asyncio.AbstractEventLoop
    node: RunningNode
    rpc: RpcClient
    _nonce: int = field(default=0)

    def wait_for_height(self, height: int) -> None:
        coroutine = self.node.engine.wait_for_height(height)
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def next_blocks(self, count: int = 2) -> None:
        self.wait_for_height(self.rpc.status().height + count)

    def in_loop(self, call: Callable[[], Any]) -> Any:
        """The result of a call in the node's own thread, where its stores may be read."""

        async def run() -> Any:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def payment(self, to: bytes = bytes(20), amount: int = ANKR) -> bytes:
        """The hub's next transfer."""
        tx = sign(HUB, CHAIN_ID, transfer(to, amount), nonce=self._nonce, fee=5 * ANKR).encode()
        self._nonce += 1
        return tx


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeUnderTest]:
    """One node for all tests of a module, at height 3 or more."""
    home = make_home(tmp_path_factory.mktemp("node"))
    started: Future[tuple[asyncio.AbstractEventLoop, RunningNode]] = Future()
    stop: Future[asyncio.Event] = Future()

    async def serve() -> None:
        event = asyncio.Event()
        stop.set_result(event)
        async with running(home, port=0) as node:
            started.set_result((asyncio.get_running_loop(), node))
            await event.wait()

    def body() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    thread = threading.Thread(target=body)
    thread.start()
    loop, node = started.result(30)
    under_test = NodeUnderTest(home, node.rpc_url, loop, node, RpcClient(node.rpc_url))
    under_test.wait_for_height(3)
    yield under_test
    loop.call_soon_threadsafe(stop.result().set)
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def new_home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")
