"""A network that changes its rules: old programs halt before the height, and nothing is lost when new ones start."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from chain.crypto.address import address
from chain.node import home as node_home
from chain.wire.governance import upgrade
from chain.wire.transactions import ANKR, Content, sign
from tests.chain.engines.cometbft.network import CHAIN_ID, Network, NodeProcess, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]

NEW_PROGRAM = """
from chain.ledger import upgrades
upgrades.KNOWN_RULES = frozenset({1, 2})
"""


def include(network: Network, tx: bytes) -> int:
    """The height that the transaction is in, all nodes having it."""
    assert network.nodes[0].rpc.broadcast_tx_sync(tx).code == 0
    found = wait_for(lambda: network.nodes[0].rpc.tx(sha256(tx).digest()))
    assert found.code == 0
    wait_for(lambda: network.height() > found.height)
    return found.height


def from_operator(node: NodeProcess, content: Content) -> bytes:
    (operator,) = node_home.load(node.home).operators
    return sign(operator.account, CHAIN_ID, content, nonce=0, fee=6 * ANKR).encode()


def assert_halted(node: NodeProcess, at: int) -> None:
    assert node.process is not None and node.process.wait(120) == 1
    said = (node.home / "node.log").read_text().splitlines()[-1]
    assert said.startswith(f"halted: upgrade_needed: block {at} follows version 2 of the rules")


def test_four_nodes_halt_at_the_height_and_go_on_with_the_new_program(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        for node in network.nodes[:3]:
            (operator,) = node_home.load(node.home).operators
            include(network, network.payment(address(operator.account.public), 10 * ANKR))
        at = network.height() + 60
        for node in network.nodes[:3]:
            include(network, from_operator(node, upgrade(2, at)))

        early = network.nodes[0]
        assert early.process is not None
        early.process.terminate()
        assert early.process.wait(20) == 0
        network.fault = NEW_PROGRAM
        network.start(early)

        olds = network.nodes[1:]
        for node in olds:
            assert_halted(node, at)
        # One of four with the new rules decides nothing, and does not halt.
        assert wait_for(lambda: early.rpc.status().height == at - 1)

        # With nobody to propose the block, no engine asks about it: an old program finds out by itself.
        early.process.terminate()
        assert early.process.wait(20) == 0
        network.fault = ""
        network.start(olds[0])
        assert_halted(olds[0], at)

        network.fault = NEW_PROGRAM
        for node in network.nodes:
            network.start(node)
        wait_for(lambda: network.height() > at + 3)
        include(network, network.payment())
        for height in (at - 1, at, at + 2, network.height()):
            assert len(network.app_hashes(height)) == 1
