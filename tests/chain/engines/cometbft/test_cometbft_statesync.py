"""A data center joins a real network by one string: a snapshot instead of all blocks, and it is a full node after."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from chain.engines.cometbft.configuration import node_id
from chain.errors import DccnError, Refused
from chain.light.client import LightClient
from chain.light.inclusion import verified_state
from chain.node import home as node_home
from chain.node import joining
from chain.node.invitation import Invitation
from chain.node.settings import StorageSettings
from chain.wire.state import Account, account_key
from chain.wire.transactions import ANKR
from tests.chain.engines.cometbft.network import CHAIN_ID, Network, NodeProcess, free_ports, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(420)]

PAID = bytes(range(20))
# CometBFT looks for snapshots for 5 s before it takes one.
KILL_AFTER_S = 6.0
LIARS = """
import sys
from chain.application.snapshots import Snapshots
if sys.argv[1][-2:] in ("n0", "n1", "n2"):
    honest = Snapshots.chunk
    Snapshots.chunk = lambda *asked: bytes(each ^ 1 for each in honest(*asked))
"""


def pay_until(network: Network, height: int) -> None:
    """Payments one after the other, so that blocks fold, until all nodes are at this height."""
    while network.height() < height:
        tx = network.payment(PAID)
        assert network.nodes[0].rpc.broadcast_tx_sync(tx).code == 0
        wait_for(lambda tx=tx: network.nodes[0].rpc.tx(sha256(tx).digest()))


def snapshots_of(node: NodeProcess) -> list[int]:
    folder = node.home / "data" / "snapshots"
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())


def earliest(node: NodeProcess) -> int:
    return int(node.rpc.call("status")["sync_info"]["earliest_block_height"])


def test_a_fifth_node_joins_by_one_string_and_proves_the_state_that_it_never_executed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Network(tmp_path, storage=StorageSettings(snapshot_interval=10)) as network:
        pay_until(network, 24)
        assert all(snapshots_of(node) == snapshots_of(network.nodes[0]) for node in network.nodes)
        urls = [node.rpc.url for node in network.nodes[:2]]
        text = invited(urls)
        invitation = Invitation.decode(text)
        assert (invitation.chain_id, len(invitation.peers), invitation.trusted_height) == (CHAIN_ID, 2, 1)
        home, newest = tmp_path / "fifth", network.height()
        fifth, begun_s = joined(network, home, text), time.monotonic()
        wait_for(lambda: fifth.rpc.status().height > newest, 120)
        took_s = time.monotonic() - begun_s
        first = earliest(fifth)
        assert first > 10, "it began with a snapshot, and has none of the blocks before"
        log = (home / "node.log").read_text()
        assert "Traceback" not in log
        pay_until(network, fifth.rpc.status().height + 10)
        height = fifth.rpc.status().height
        assert len(network.app_hashes(height - 2)) == 1
        # It has no header of the trusted height; a client that followed elsewhere goes on with it.
        trust = (CHAIN_ID, invitation.trusted_height, invitation.trusted_hash)
        elsewhere = LightClient(network.nodes[2].rpc, *trust)
        elsewhere.update()
        client = LightClient(fifth.rpc, *trust, store=elsewhere.store)
        value, at = verified_state(client, account_key(PAID))
        assert at > newest and value is not None
        assert Account.decode(value).balance_atto >= 10 * ANKR
        # Its own snapshots are those of the others.
        wait_for(lambda: snapshots_of(fifth) and snapshots_of(fifth)[-1] == snapshots_of(network.nodes[0])[-1])
        restarted(network, fifth)
        assert earliest(fifth) == first
        # As if it had been killed after CometBFT wrote its state and before the first block: it begins anew.
        assert fifth.process is not None
        fifth.process.kill()
        fifth.process.wait()
        shutil.rmtree(home / "cometbft" / "data" / "blockstore.db")
        network.start(fifth)
        reached = network.nodes[0].rpc.status().height + 3
        wait_for(lambda: fifth.rpc.status().height >= reached, 120)
        assert "begins anew" in (home / "node.log").read_text()
        with capsys.disabled():
            print(f"\nstatesync: from block {first} on, following at height {height} after {took_s:.1f} s")


def test_peers_that_send_other_chunks_and_a_kill_in_the_midst_only_delay_who_joins(tmp_path: Path) -> None:
    with Network(tmp_path, storage=StorageSettings(snapshot_interval=10), fault=LIARS) as network:
        pay_until(network, 14)
        text = joining.invite([network.nodes[0].rpc.url, network.nodes[3].rpc.url], peers_of(network)).encode()
        fifth = joined(network, tmp_path / "fifth", text)
        for _ in range(2):
            # What it began to fetch, or had taken in before its engine knew, is begun anew.
            time.sleep(KILL_AFTER_S)
            assert fifth.process is not None
            fifth.process.kill()
            fifth.process.wait()
            network.start(fifth)
        newest = network.nodes[0].rpc.status().height
        wait_for(lambda: fifth.rpc.status().height > newest, 180)
        assert earliest(fifth) > 1
        pay_until(network, newest + 3)
        assert len(network.app_hashes(fifth.rpc.status().height - 2)) == 1


def peers_of(network: Network) -> list[str]:
    return [
        f"{node_id(node.home / 'cometbft')}@127.0.0.1:{node_home.load(node.home).settings.p2p.port}"
        for node in network.nodes
    ]


def joined(network: Network, home: Path, text: str) -> NodeProcess:
    """The command makes the home, the network's own way starts it."""
    rpc_port, p2p_port = free_ports(2)
    ports = ["--rpc-port", str(rpc_port), "--p2p-port", str(p2p_port)]
    command = [sys.executable, "-m", "dccn", "node", "join", text, "--home", str(home), *ports, "--no-start", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["chain_id"] == CHAIN_ID
    settings = home / "config" / "config.toml"
    settings.write_text(settings.read_text().replace("snapshot_interval = 5000", "snapshot_interval = 10"))
    return network.add(home, rpc_port)


def invited(urls: list[str]) -> str:
    """The string, from the command itself."""
    options = [word for url in urls for word in ("--rpc", url)]
    done = subprocess.run(
        [sys.executable, "-m", "dccn", "node", "invite", *options, "--json"], capture_output=True, text=True, check=True
    )
    return str(json.loads(done.stdout)["join"])


def restarted(network: Network, node: NodeProcess) -> None:
    """Stopped in order and started again, it goes on where it was."""
    assert node.process is not None
    node.process.terminate()
    assert node.process.wait(20) == 0
    network.start(node)
    reached = network.nodes[0].rpc.status().height + 3
    wait_for(lambda: node.rpc.status().height >= reached)


def test_nodes_that_lie_about_genesis_or_trust_are_not_joined(tmp_path: Path) -> None:
    with Network(tmp_path, size=1) as network:
        url = network.nodes[0].rpc.url
        invitation = joining.invite([url, url])
        for lie in ("genesis_hash", "trusted_hash"):
            values = {name: getattr(invitation, name) for name in invitation.__slots__} | {lie: bytes(32)}
            with pytest.raises(Refused) as caught:
                joining.join(tmp_path / lie, Invitation(**values).encode())
            assert caught.value.code == "light_invalid"
            assert not (tmp_path / lie).exists()
        late = time.time_ns() + 15 * 86_400 * 10**9
        with pytest.raises(DccnError) as expired:
            joining.join(tmp_path / "late", invitation.encode(), now_ns=lambda: late)
        assert expired.value.code == "light_expired"
