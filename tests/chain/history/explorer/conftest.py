"""A chain on which an account lived through everything the explorer shows, indexed, with pages over it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from chain.crypto.address import address, device_id, encode
from chain.crypto.keys import PrivateKey
from chain.history.explorer.server import page_server
from chain.history.indexer import Indexer
from chain.history.store import open_index, read_index
from chain.light.rpc import RpcClient
from chain.wallet.client import ChainClient
from chain.wallet.settlement import Pacing
from chain.wire.deals import DONE, DealOpen, deal_id, deal_open, deal_settle, metering_batch, rate
from chain.wire.staking import Registration, bond
from chain.wire.transactions import ANKR, Content, Transaction, device_register, device_register_bytes
from tests.chain.node.conftest import CHAIN_ID, HUB, NodeUnderTest, node

__all__ = ["node"]

ALICE = PrivateKey.from_secret("ed25519", b"alice".ljust(32, b"."))
DEVICE = PrivateKey.from_secret("p256", b"device".rjust(32, b"."))
ALICE_TEXT, HUB_TEXT = encode(address(ALICE.public)), encode(address(HUB.public))
DEVICE_ID = device_id(DEVICE.public).hex()
NAME = "<b>alice</b>"
"""The chain lets an operator call itself that."""


@dataclass(frozen=True, slots=True)
class Life:
    """The hub paid alice 400 000 ANKR in `paid`; she bonded half, registered the device, and provided two deals.

    Of `settled` 6 of 10 ANKR were used, paid and rated; `open` still holds its 10.
    """

    node: NodeUnderTest
    paid: str
    paid_height: int
    settled: str
    open: str
    place: str


@pytest.fixture(scope="module")
def life(node: NodeUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Life:
    client, hub, alice = ChainClient(node.url, pacing=Pacing(0.02, 0.5)), address(HUB.public), address(ALICE.public)

    def done(key: PrivateKey, content: Content) -> None:
        assert client.wait(client_send(client, key, content)).state == "committed"

    paid = client.wait(client.transfer(HUB, alice, 400_000 * ANKR))
    done(ALICE, bond(200_000 * ANKR, Registration(NAME, None)))
    promise = device_register_bytes(CHAIN_ID, alice, DEVICE.public)
    done(ALICE, device_register(DEVICE.public, DEVICE.sign(promise)))
    deals = []
    for _ in range(2):
        deals.append(deal_id(hub, client.nonce(hub)))
        done(HUB, deal_open(DealOpen(alice, hub, hub, 10 * ANKR, 100, bytes(32))))
    done(HUB, metering_batch(0, bytes(32), {deals[0]: 6 * ANKR}))
    done(HUB, deal_settle(deals[0], DONE))
    done(HUB, rate(deals[0], 5))
    node.next_blocks(60)
    place = str(tmp_path_factory.mktemp("index") / "h.sqlite")
    height, indexer = node.rpc.status().height, Indexer(RpcClient(node.url), open_index(place))
    while indexer.height < height:
        indexer.step()
    return Life(node, paid.hash.hex(), paid.height or 0, deals[0].hex(), deals[1].hex(), place)


def client_send(client: ChainClient, key: PrivateKey, content: Content) -> Transaction:
    signed = client.sign(key, client.build(key.public, content))
    client.send(signed)
    return signed


@contextmanager
def served(place: str, rpc_url: str | None = None) -> Iterator[str]:
    server = page_server(read_index(place), "127.0.0.1", 0, rpc_url)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture(scope="module")
def explorer(life: Life) -> Iterator[str]:
    """Over the index alone."""
    with served(life.place) as url:
        yield url


@pytest.fixture(scope="module")
def proven(life: Life) -> Iterator[str]:
    """With a node beside the index."""
    with served(life.place, life.node.url) as url:
        yield url
