"""The same real node that the tests of `chain.node` start, and an account with money."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.wallet.client import ChainClient
from chain.wallet.settlement import Pacing
from chain.wire.transactions import ANKR
from tests.chain.node.conftest import HUB, NodeUnderTest, node

__all__ = ["node"]

QUICK = Pacing(poll_s=0.02, resend_s=0.1)


@pytest.fixture
def client(node: NodeUnderTest) -> ChainClient:
    return ChainClient(node.url, pacing=QUICK)


@pytest.fixture
def funded(client: ChainClient) -> Callable[[int], PrivateKey]:
    """A new key whose account got that many ANKR from the hub."""

    def make(ankr: int) -> PrivateKey:
        key = PrivateKey.generate("ed25519")
        paid = client.transfer(HUB, address(key.public), ankr * ANKR)
        assert client.wait(paid).state == "committed"
        return key

    return make
