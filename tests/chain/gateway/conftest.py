"""A real node, a gateway in front of it, and an account whose life the answers must tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from litestar.testing import TestClient

from chain.crypto.address import address, device_id, encode
from chain.crypto.keys import PrivateKey
from chain.gateway.admission.policy import Policy, Strangers
from chain.gateway.server import application
from chain.gateway.settings import Settings
from chain.wallet.client import ChainClient
from chain.wallet.settlement import Pacing
from chain.wallet.trust import Trust
from chain.wire.deals import DealOpen, deal_id, deal_open
from chain.wire.staking import Registration, bond, unbond
from chain.wire.transactions import ANKR, Content, device_register, device_register_bytes
from tests.chain.node.conftest import CHAIN_ID, HUB, NodeUnderTest, node

__all__ = ["node"]

QUICK = Pacing(poll_s=0.02, resend_s=0.5)
ALICE = PrivateKey.from_secret("ed25519", b"alice".ljust(32, b"."))
DEVICE = PrivateKey.from_secret("p256", b"device".rjust(32, b"."))
HUB_TEXT, ALICE_TEXT = encode(address(HUB.public)), encode(address(ALICE.public))
DEVICE_ID = device_id(DEVICE.public).hex()

OPEN = Policy(strangers=Strangers.SEND, stranger_per_minute=10**9, ban_score=float("inf"))
"""For tests of what the gateway answers, not of whom."""

GRANT, BOND, UNBOND = 400_000 * ANKR, 200_000 * ANKR, 50_000 * ANKR


@dataclass(frozen=True, slots=True)
class Past:
    """The hub paid `GRANT` to alice in transaction `paid` (hex) of block `height`.

    She bonded `BOND` of it, took `UNBOND` back, and owns the device; the hub opened `deal` (hex) with her.
    """

    client: ChainClient
    paid: str
    height: int
    deal: str


@pytest.fixture(scope="module")
def past(node: NodeUnderTest) -> Past:
    client = ChainClient(node.url, pacing=QUICK)

    def done(key: PrivateKey, content: Content) -> None:
        signed = client.sign(key, client.build(key.public, content))
        client.send(signed)
        assert client.wait(signed).state == "committed", client.status(signed.hash)

    paid = client.wait(client.transfer(HUB, address(ALICE.public), GRANT))
    assert paid.state == "committed" and paid.height
    done(ALICE, bond(BOND, Registration("alice", None)))
    done(ALICE, unbond(UNBOND))
    promise = device_register_bytes(CHAIN_ID, address(ALICE.public), DEVICE.public)
    done(ALICE, device_register(DEVICE.public, DEVICE.sign(promise)))
    nonce = client.nonce(address(HUB.public))
    parties = (address(ALICE.public), address(HUB.public), address(HUB.public))
    done(HUB, deal_open(DealOpen(*parties, 10 * ANKR, 100, bytes(32))))
    return Past(client, paid.hash.hex(), paid.height, deal_id(address(HUB.public), nonce).hex())


@pytest.fixture(scope="module")
def gateway(node: NodeUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Any]]:
    """Without an index, and open to everybody; it trusts an early header, so that all blocks can be proven quickly."""
    trust = Trust(2, node.rpc.signed_header(2).header.hash())
    with ExitStack() as rim:
        app = application(Settings(tmp_path_factory.mktemp("gateway"), node.url, policy=OPEN, trust=trust), rim)
        yield rim.enter_context(TestClient(app, raise_server_exceptions=False))
