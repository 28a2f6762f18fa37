"""A node with a small history: payments back and forth, and reward epochs that ended."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.wallet.client import ChainClient
from chain.wallet.settlement import Pacing, TransactionStatus
from chain.wire.transactions import ANKR
from tests.chain.node.conftest import HUB, NodeUnderTest, node

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
    return Past(node, alice, paid, node.rpc.status().height)
