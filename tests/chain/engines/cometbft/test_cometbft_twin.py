"""One key on two machines: CometBFT finds the double sign by itself, the ledger punishes it, and the others go on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from chain.crypto.address import address
from chain.engines.cometbft.configuration import PeerSettings, node_id
from chain.history.indexer import Indexer
from chain.history.search import History
from chain.history.shown import happening_document
from chain.history.store import open_index, read_index
from chain.light.client import LightClient
from chain.node import home as node_home
from chain.node import settings as node_settings
from chain.node.settings import RpcSettings
from chain.node.standing import Standing, standing
from chain.wallet.client import ChainClient
from tests.chain.engines.cometbft.network import CHAIN_ID, Network, NodeProcess, free_ports, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

PPM = 1_000_000
# A standby that an operator started beside the machine that still ran: both follow the rules, and propose two blocks.
STANDBY = ""
# One that finds every proposal wrong, so that it prevotes nil where its original prevotes the block.
CONTRARIAN = """
from chain.application.abci import ProposalStatus, ResponseProcessProposal
from chain.application.app import Application
Application.process_proposal = lambda self, request: ResponseProcessProposal(ProposalStatus.REJECT)
"""


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Network]:
    with Network(tmp_path) as network:
        yield network


def start_twin(network: Network, original: NodeProcess, home: Path, fault: str) -> NodeProcess:
    """A second node with the keys of `original`, and with data, peer identity and ports of its own."""
    shutil.copytree(original.home / "config", home / "config")
    (home / "data").mkdir(mode=0o700)
    rpc_port, p2p_port = free_ports(2)
    settings = node_home.load(home).settings
    others = [f"{node_id(each.home / 'cometbft')}@127.0.0.1:{p2p_port_of(each)}" for each in network.nodes]
    peers = PeerSettings(port=p2p_port, persistent_peers=",".join(others), pex=False)
    twin = replace(settings, rpc=RpcSettings(port=rpc_port), p2p=peers)
    (home / "config" / "config.toml").write_text(node_settings.template(twin))
    network.fault, honest = fault, network.fault
    try:
        return network.add(home, rpc_port)
    finally:
        network.fault = honest


def p2p_port_of(node: NodeProcess) -> int:
    return node_home.load(node.home).settings.p2p.port


def standing_of(node: NodeProcess, operator: bytes) -> Standing:
    found = standing(ChainClient(node.rpc.url), operator)
    assert found is not None
    return found


@pytest.mark.parametrize("fault", [STANDBY, CONTRARIAN], ids=["standby", "contrarian"])
def test_a_twin_is_convicted_by_the_engines_evidence_slashed_and_unseated_and_the_others_go_on(
    four: Network, tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    honest, original = four.nodes[0], four.nodes[3]
    operator = address(node_home.load(original.home).operators[0].account.public)
    wait_for(lambda: four.height() >= 4)
    before = standing_of(honest, operator)
    assert not before.operator.tombstoned and len(before.seats) == 1

    begun = honest.rpc.status().height
    start_twin(four, original, tmp_path / "twin", fault)
    wait_for(lambda: standing_of(honest, operator).operator.tombstoned, 180)
    convicted, event = double_sign(honest, begun)
    assert ("operator", operator.hex()) in event and ("reporter", "engine") in event
    with capsys.disabled():
        print(f"\na twin: seen from height {begun}, convicted at {convicted}, evidence {dict(event)['height']}")

    after = standing_of(honest, operator)
    slash = before.operator.bond_atto * before.parameters.double_sign_slash_ppm // PPM
    assert after.operator.bond_atto == before.operator.bond_atto - slash
    assert after.operator.jailed and after.seats == () and "tombstoned" in after.obstacles

    # Three of three go on, take transactions, and the two punished nodes still follow.
    tx = four.payment()
    assert honest.rpc.broadcast_tx_sync(tx).code == 0
    paid = wait_for(lambda: honest.rpc.tx(sha256(tx).digest())).height
    target = max(paid, convicted) + 5
    wait_for(lambda: min(node.rpc.status().height for node in four.nodes) >= target, 120)
    assert len(four.nodes) == 5
    for height in range(2, target):
        assert len(four.app_hashes(height)) == 1, f"height {height}"
    seated = {each.address for each in honest.rpc.validators(target)}
    assert seated == {node.validator for node in four.nodes[:3]}
    # The block that carries the evidence is no stumbling block for light clients and indexes.
    client = LightClient(honest.rpc, CHAIN_ID, 1, honest.rpc.signed_header(1).header.hash())
    client.update()
    around = list(range(convicted - 1, target))
    assert [client.header(height).height for height in around] == around
    place = str(tmp_path / "index.sqlite")
    indexer = Indexer(honest.rpc, open_index(place))
    while indexer.height < target - 1:
        indexer.step()
    told = [happening_document(one) for one in History(read_index(place)).by_mention("address", operator)]
    events = {(one["height"], event["type"]) for one in told for event in one["events"]}
    assert events == {(convicted, kind) for kind in ("double_sign", "slash", "unseat")}
    # A second offence of the same key, which the twin goes on committing, costs nothing more.
    assert standing_of(honest, operator).operator.bond_atto == after.operator.bond_atto


def double_sign(node: NodeProcess, since: int) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Height and attributes of the one event that says so."""
    found = []
    for height in range(since, node.rpc.status().height):
        for kind, attributes in node.rpc.block_results(height).events:
            if kind == "double_sign":
                found.append((height, attributes))
    assert len(found) == 1
    return found[0]
