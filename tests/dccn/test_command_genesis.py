"""How a network of several operators begins: cards, a plan, one document that all check, nodes that find each other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.crypto.address import encode
from chain.errors import Malformed
from chain.ledger.genesis import Genesis, load_allocation
from chain.ledger.parameters import SUPPLY_ATTO
from chain.light.rpc import RpcClient
from chain.node import genesis_plan
from chain.wire.amounts import format_ankr
from tests.chain.engines.cometbft.network import free_ports, wait_for

NAMES = ("north", "south", "east", "west")
SOMEBODY = encode(bytes(20))
SHARES = [row["share"] for row in load_allocation()]


def dccn(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dccn", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def told(*arguments: str | Path) -> dict[str, Any]:
    ended = dccn(*arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home and a card for each operator, and a plan that holds."""
    folder = tmp_path_factory.mktemp("genesis")
    for name in NAMES:
        ended = dccn("genesis", "operator", name, "--home", folder / name)
        assert ended.returncode == 0
        (folder / f"{name}.json").write_text(ended.stdout)
    (folder / "plan.toml").write_text(plan())
    return folder


def plan(more: str = "", *, head: str = "", operators: tuple[str, ...] = NAMES) -> str:
    files = ", ".join(f'"{name}.json"' for name in operators)
    return f'chain_id = "net-1"\ntime = 2026-01-01T00:00:00Z\noperators = [{files}]\n{head}\n{more}\n'


def grant(share: str, amount: str, address: str | None = None) -> str:
    return f'[[grants]]\nshare = "{share}"\naddress = "{address or SOMEBODY}"\namount = "{amount}"'


def vesting(share: str, amount: str, days: int = 100, cliff: int = 10) -> str:
    row = f'[[vesting]]\nshare = "{share}"\naddress = "{SOMEBODY}"\namount = "{amount}"'
    return f"{row}\nduration_days = {days}\ncliff_days = {cliff}"


def test_everybody_sees_the_same_sums_and_the_same_hash(cards: Path) -> None:
    (cards / "full.toml").write_text(plan(grant("public_sale", "1.5") + "\n" + vesting("team", "1000")))
    built = told("genesis", "build", cards / "full.toml", "--out", cards / "full.json")
    checked = told("genesis", "check", cards / "full.json")
    assert built == checked
    assert built["operators"] == list(NAMES)
    assert built["shares"]["public_sale"] == {
        "amount": "500000000", "granted": "1.5", "bonded": "0", "vesting": "0", "reserved": "499999998.5",
    }  # fmt: skip
    assert built["shares"]["team"]["vesting"] == "1000" and built["shares"]["marketing"]["bonded"] == "400000"
    assert "in all" in dccn("genesis", "check", cards / "full.json").stdout


WRONG = {
    "an unknown share": plan(grant("piracy", "1")),
    "a share that is overdrawn": plan(grant("advisors", "150000000.000000000000000001")),
    "a bond that overdraws": plan(head='bond = "150000000"'),
    "mining that grants": plan(grant("mining", "1")),
    "mining that vests": plan(vesting("mining", "1")),
    "more vesting than there is": plan(grant("team", "1699999999") + "\n" + vesting("team", "2")),
    "a cliff after the end": plan(vesting("team", "1", days=10, cliff=11)),
    "an amount with a sign": plan(grant("team", "-1")),
    "an amount with too many digits": plan(grant("team", "0.0000000000000000001")),
    "an address that is none": plan(grant("team", "1", address="ankr1x")),
    "an unknown field": plan(head="velocity = 1"),
    "an unknown parameter": plan("[parameters]\nvelocity = 1"),
    "a time without a zone": plan().replace("00Z", "00"),
    "no operators": plan(operators=()),
    "an operator twice": plan(operators=("north", "north")),
    "a card that is not there": plan(operators=("nobody",)),
    "no TOML at all": "chain_id = ",
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_plan_that_does_not_hold_is_refused_in_one_sentence(cards: Path, fault: str) -> None:
    (cards / "wrong.toml").write_text(WRONG[fault])
    out = cards / "wrong.json"
    ended = dccn("genesis", "build", cards / "wrong.toml", "--out", out)
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1, ended.stderr
    assert not out.exists()


def test_a_document_that_was_changed_has_another_hash_or_is_refused(cards: Path) -> None:
    told("genesis", "build", cards / "plan.toml", "--out", cards / "genesis.json")
    honest = told("genesis", "check", cards / "genesis.json")["genesis_hash"]
    document = json.loads((cards / "genesis.json").read_text())
    document["app_state"]["parameters"]["seats"] = 7
    (cards / "changed.json").write_text(json.dumps(document))
    assert told("genesis", "check", cards / "changed.json")["genesis_hash"] != honest
    document["app_state"]["allocation"][0]["amount_atto"] = "1"
    (cards / "changed.json").write_text(json.dumps(document))
    assert dccn("genesis", "check", cards / "changed.json").returncode == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(SHARES), st.integers(0, 10**27)), max_size=6))
def test_whatever_is_granted_the_sums_are_the_supply(cards: Path, grants: list[tuple[str, int]]) -> None:
    (cards / "any.toml").write_text(plan("\n".join(grant(share, format_ankr(atto)) for share, atto in grants)))
    try:
        document = genesis_plan.build(cards / "any.toml")
    except Malformed:
        return
    rows = genesis_plan.sums(Genesis.parse_document(document))
    assert sum(row.granted_atto for row in rows) == sum(atto for _, atto in grants)
    parts = [(row.granted_atto, row.bonded_atto, row.vesting_atto, row.left_atto) for row in rows]
    assert [sum(part) for part in parts] == [row.amount_atto for row in rows]
    assert sum(map(sum, parts)) == SUPPLY_ATTO and min(map(min, parts)) >= 0


def test_a_node_adopts_only_a_document_that_names_its_operator(cards: Path, tmp_path: Path) -> None:
    told("genesis", "build", cards / "plan.toml", "--out", cards / "genesis.json")
    assert dccn("genesis", "operator", "stranger", "--home", tmp_path).returncode == 0
    ended = dccn("genesis", "adopt", cards / "genesis.json", "--home", tmp_path)
    assert ended.returncode == 1 and "does not name the operator stranger" in ended.stderr
    assert dccn("genesis", "adopt", cards / "genesis.json", "--home", tmp_path / "empty").returncode == 1


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_four_operators_begin_a_network(cards: Path) -> None:
    told("genesis", "build", cards / "plan.toml", "--out", cards / "genesis.json")
    ports = free_ports(8)
    identifiers = {name: json.loads((cards / f"{name}.json").read_text())["node"] for name in NAMES}
    peers = {name: f"{identifiers[name]}@127.0.0.1:{port}" for name, port in zip(NAMES, ports[:4], strict=True)}
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        for name, p2p, rpc in zip(NAMES, ports[:4], ports[4:], strict=True):
            others = [option for other in NAMES if other != name for option in ("--peer", peers[other])]
            where = ("--home", cards / name, "--p2p-port", str(p2p), "--rpc-port", str(rpc))
            assert told("genesis", "adopt", cards / "genesis.json", *others, *where)["node_id"] == identifiers[name]
            nodes.append(subprocess.Popen([sys.executable, "-m", "dccn", "node", "run", "--home", str(cards / name)]))
        for port in ports[4:]:
            with closing(RpcClient(f"http://127.0.0.1:{port}")) as client:
                wait_for(at_height(client, 3), 90)
                assert len(client.validators()) == 4
    finally:
        for node in nodes:
            node.terminate()
        for node in nodes:
            node.wait(30)


def at_height(client: RpcClient, height: int) -> Callable[[], bool]:
    return lambda: client.status().height >= height
