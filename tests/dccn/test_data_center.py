"""A data center from the string that it joins with to the first block that it proposes, by its own commands.

Four seed nodes and the newcomer run real CometBFT; a real hub and a real agent prove the work that earns the service
level. Only the periods are short and the least service level is low, as this machine may be busy: the genesis says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chain.crypto.address import decode
from chain.ledger.parameters import Parameters
from chain.node import home as node_home
from chain.node import joining
from chain.node.home import NETWORK_POWER
from chain.node.settings import StorageSettings
from chain.node.standing import Standing, standing
from chain.wallet.client import ChainClient
from chain.wire.transactions import ANKR
from dccn.demo.children import Children
from tests.chain.engines.cometbft.network import HUB, Network, NodeProcess, free_ports, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

SHORT = Parameters(
    validator_power=NETWORK_POWER,
    block_interval_ms=500,
    empty_block_interval_ms=500,
    reward_epoch_s=4,
    election_epoch_s=12,
    challenge_window_epochs=1,
    record_interval_ms=1_000,
    pog_period_epochs=2,
    pog_window_s=4,
    unbonding_s=600,
    downtime_window_blocks=1_000,
    min_service_level=100,
)
SNAPSHOT_INTERVAL = 10


def dccn(*arguments: str, expect: int = 0) -> dict[str, Any]:
    """The command as an operator types it; its one JSON document."""
    done = subprocess.run(
        [sys.executable, "-m", "dccn", *arguments, "--json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == expect, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


@contextmanager
def proving_machine(folder: Path, network: Network, owner_key: Path) -> Iterator[Children]:
    """A hub of this chain, and one machine that proves work for the owner whose key this is."""
    identity = folder / "hub" / "identity"
    identity.mkdir(parents=True, mode=0o700)
    (identity / "account.key").write_text(HUB.secret.hex() + "\n")
    ports = dict(zip(("page", "devices", "broker"), free_ports(3), strict=True))
    (folder / "hub" / "ports.json").write_text(json.dumps(ports))
    children = Children(folder / "logs")
    hub = ("hub", "run", "--home", str(folder / "hub"), "--fleet", "dc", "--record-interval-ms", "1000")
    try:
        nodes = [word for node in network.nodes[:2] for word in ("--node", node.rpc.url)]
        children.start("hub", *hub, *nodes)
        token = dccn("hub", "token", "--home", str(folder / "hub"), "--fleet", "dc")["token"]
        where = ("--home", str(folder / "agent"), "--owner-key", str(owner_key))
        agent = ("agent", "run", *where, "--hub", f"https://127.0.0.1:{ports['devices']}", "--token", token)
        children.start("agent", *agent, ready="agent_started")
        yield children
    finally:
        children.stop()


def joined(network: Network, home: Path) -> tuple[NodeProcess, str]:
    """By one string, with a snapshot; the running node, and the account that its operator has."""
    text = joining.invite([node.rpc.url for node in network.nodes[:2]]).encode()
    rpc_port, p2p_port = free_ports(2)
    ports = ("--rpc-port", str(rpc_port), "--p2p-port", str(p2p_port))
    made = dccn("node", "join", text, "--home", str(home), "--moniker", "north", *ports, "--no-start")
    settings = home / "config" / "config.toml"
    settings.write_text(
        settings.read_text().replace("snapshot_interval = 5000", f"snapshot_interval = {SNAPSHOT_INTERVAL}")
    )
    newest = network.height()
    node = network.add(home, rpc_port)
    wait_for(lambda: node.rpc.status().height > newest, 120)
    return node, made["operator"]


def standing_of(client: ChainClient, account: str) -> Standing:
    found = standing(client, decode(account))
    assert found is not None
    return found


def proposers(node: NodeProcess, first: int, last: int) -> Counter[bytes]:
    return Counter(node.rpc.signed_header(height).header.proposer_address for height in range(first, last + 1))


def test_a_data_center_joins_bonds_proves_work_is_elected_and_proposes_blocks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun_s = time.monotonic()
    moments: dict[str, float] = {}

    def moment(name: str) -> None:
        moments[name] = round(time.monotonic() - begun_s, 1)

    storage = StorageSettings(snapshot_interval=SNAPSHOT_INTERVAL)
    with Network(tmp_path, parameters=SHORT, storage=storage) as network:
        wait_for(lambda: network.height() > SNAPSHOT_INTERVAL + 4)
        home = tmp_path / "north"
        node, account = joined(network, home)
        moment("follows")
        assert int(node.rpc.call("status")["sync_info"]["earliest_block_height"]) > 1, "it began with a snapshot"
        keys = node_home.load(home).operators[0]
        at = ("--home", str(home), "--wallet", str(tmp_path / "wallet"))

        # Nobody bonds what it does not have, and an account that never bonded has no standing.
        assert dccn("node", "bond", "100000", *at, expect=1)["code"] == "tx_insufficient_funds"
        assert dccn("validator", "show", *at, expect=1)["code"] == "tx_unknown_operator"

        paid = network.payment(decode(account), 200_000 * ANKR)
        assert network.nodes[0].rpc.broadcast_tx_sync(paid).code == 0
        wait_for(lambda: dccn("query", "balance", account, *at[2:], "--rpc", node.rpc.url)["balance"] == "200000")
        bonded = dccn("node", "bond", "100000", *at)
        moment("bonded")
        told = bonded["standing"]
        assert (told["name"], told["bond"], told["seats"]) == ("north", "100000", [])
        assert told["keys"] == [keys.consensus.public.x.hex()]
        assert set(told["obstacles"]) == {"age", "service_level", "quality"}
        certificate = tmp_path / "north.pem"
        certificate.write_text(a_certificate())
        assert dccn("node", "register", "North", "eu-north", "--certificate", str(certificate), *at)["ok"]

        owner_key = home / "config" / "operators" / keys.name / "account_key.json"
        client = ChainClient(node.rpc.url)
        with proving_machine(tmp_path, network, owner_key):
            wait_for(lambda: standing_of(client, account).obstacles == (), 120)
            moment("candidate")
            wait_for(lambda: standing_of(client, account).seats, 180)
            moment("seated")
            elected = node.rpc.status().height
            wait_for(lambda: proposers(node, elected, node.rpc.status().height)[keys.validator_address] > 0, 90)
            moment("proposed")
            told = dccn("validator", "show", *at)
        listed = dccn("validator", "list", "--rpc", node.rpc.url, *at[2:])["operators"]
        assert [one["name"] for one in listed if one["seats"]].count("north") == 1
        assert told["seats"][0]["since_epoch"] >= told["first_possible_epoch"]

        rotated(network, node, at)
        moment("rotated")
        assert dccn("validator", "unbond", "1", *at)["standing"]["obstacles"] == ["bond"]

        height = min(each.rpc.status().height for each in network.nodes) - 1
        assert len({each.rpc.signed_header(height).header.app_hash for each in network.nodes}) == 1
        counts = proposers(network.nodes[0], elected + 3, height)
        seeds = {each.validator: each.home.name for each in network.nodes[:4]}
        shares = Counter({name: counts[address] for address, name in seeds.items()})
        shares["north"] = counts.total() - shares.total()
        with capsys.disabled():
            print(f"\na data center: seconds {moments}; level {told['service_level']}; proposers {dict(shares)}")


def rotated(network: Network, node: NodeProcess, at: tuple[str, ...]) -> None:
    """A running node keeps its keys; a stopped one gets new ones, starts, and proposes with them."""
    elsewhere = ("--rpc", network.nodes[0].rpc.url)
    assert dccn("validator", "rotate-key", *at, *elsewhere, expect=1)["code"] == "home_invalid"
    assert node.process is not None
    node.process.terminate()
    node.process.wait(20)
    before = node_home.load(node.home).operators[0]
    assert dccn("validator", "rotate-key", *at, *elsewhere)["state"] == "committed"
    after = node_home.load(node.home).operators[0]
    assert after.account == before.account and after.consensus != before.consensus
    since = network.nodes[0].rpc.status().height
    network.start(node)
    wait_for(lambda: proposers(node, since, node.rpc.status().height)[after.validator_address] > 0, 120)


def a_certificate() -> str:
    """A data center's certificate, made by OpenSSL."""
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=north"],
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout
