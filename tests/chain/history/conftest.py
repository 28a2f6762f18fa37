"""A node with a small history: payments back and forth, and reward epochs that ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.wallet.client import ChainClient
from chain.wallet.settlement import Pacing, TransactionStatus
from chain.wire.transactions import ANKR
from tests.chain.node.conftest import HUB, NodeUnderTest, node
from tests.postgresql import Cluster, cluster

__all__ = ["node"]


@dataclass(frozen=True, slots=True)
class Past:
    """`paid` went from the hub to `alice`, who sent three times 1 ANKR back."""

    node: NodeUnderTest
    alice: PrivateKey
    paid: TransactionStatus
    height: int


@pytest.fixture(scope="module")
def past(node: NodeUnderTest) -> Past:
    client, alice = ChainClient(node.url, pacing=Pacing(0.02, 1.0)), PrivateKey.generate("ed25519")
    paid = client.wait(client.transfer(HUB, address(alice.public), 100 * ANKR))
    for sent in [client.transfer(alice, address(HUB.public), ANKR) for _ in range(3)]:
        assert client.wait(sent).state == "committed"
    node.next_blocks(30)
    # Epochs end by the clock, blocks are made as fast as the machine can: on a quick one 30 of them may hold no end.
    while not any(paid_at(node, height) for height in range(2, node.rpc.status().height)):
        node.next_blocks(5)
    return Past(node, alice, paid, node.rpc.status().height)


def paid_at(node: NodeUnderTest, height: int) -> bool:
    """Whether an epoch's rewards were paid in this block."""
    return any(kind == "reward_epoch" for kind, _ in node.rpc.block_results(height).events)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


_databases = count()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Where a new index may be, on each of the two databases."""
    if request.param == "sqlite":
        return lambda: str(tmp_path / f"index{next(_databases)}.sqlite")
    server: Cluster = request.getfixturevalue("postgresql")
    return lambda: server.create(f"index{next(_databases)}")


@pytest.fixture
def place(new_place: Callable[[], str]) -> str:
    return new_place()
