"""What the doctor finds in homes that are well, stopped, running, damaged and badly kept."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import lmdb
import pytest

from chain import files
from chain.engines.cometbft import binary
from chain.errors import Faulty
from chain.ledger.upgrades import KNOWN_RULES
from chain.node import home as node_home
from chain.node import settings as node_settings
from chain.node.doctor import patient
from chain.node.doctor.checks import store
from chain.node.doctor.examine import CHECKS, examine
from chain.node.doctor.patient import Finding, Verdict
from chain.node.home import Home
from chain.node.lock import holder, locked
from chain.node.server import running
from chain.node.settings import CometSettings, RpcSettings, Settings
from chain.web.listening import bind
from chain.wire.governance import Upgrade
from tests.chain.node.conftest import NodeUnderTest, make_home

HOUR_NS = 3_600 * 10**9


def findings(path: Path, now_ns: int | None = None) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = defaultdict(list)
    for name, finding in examine(path, time.time_ns() if now_ns is None else now_ns):
        found[name].append(finding)
    return found


def faults(path: Path) -> list[str]:
    return [f"{name}: {one.said}" for name, each in findings(path).items() for one in each if one.verdict == "problem"]


def configure(path: Path, settings: Settings) -> None:
    files.replace(path / "config" / "config.toml", node_settings.template(settings).encode())


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A home that never ran, whose port is free."""
    make_home(tmp_path / "home")
    configure(tmp_path / "home", replace(Settings(), rpc=RpcSettings(port=0)))
    return tmp_path / "home"


@pytest.fixture
def networked(tmp_path: Path) -> Path:
    """The home of a node behind CometBFT that never ran."""
    node_home.init_seed(tmp_path / "seed", bytes(20), time.time_ns())
    return tmp_path / "seed"


def test_a_healthy_home_has_no_fault_and_every_check_says_something(stopped: Path) -> None:
    assert list(findings(stopped)) == list(CHECKS)
    assert faults(stopped) == []


def test_a_running_node_is_asked_and_its_store_left_alone(node: NodeUnderTest) -> None:
    with locked(node.home.path):  # which the fixture leaves to its caller
        configure(node.home.path, replace(node.home.settings, rpc=RpcSettings(port=int(node.url.rpartition(":")[2]))))
        found = findings(node.home.path)
        later = findings(node.home.path, time.time_ns() + HOUR_NS)
        earlier = findings(node.home.path, time.time_ns() - HOUR_NS)
    assert [one.verdict for one in found["store"]] == [Verdict.unknown]
    assert found["ports"][0].said.startswith("RPC answers at")
    assert found["keys"][-1] == patient.ok("4 of 4 keys here have a seat")
    assert found["peers"][-1].verdict is Verdict.ok
    assert "s old" in later["peers"][-1].said and later["peers"][-1].verdict is Verdict.problem
    assert "ahead of this machine's clock" in earlier["clock"][0].said


def test_a_node_that_is_up_and_does_not_answer_is_a_fault(stopped: Path) -> None:
    configure(stopped, replace(Settings(), rpc=RpcSettings(port=1)))
    with locked(stopped):
        assert [fault.split(",")[0] for fault in faults(stopped)] == [f"ports: process {holder(stopped)} runs the node"]


def test_a_taken_port_is_named(stopped: Path) -> None:
    with contextlib.closing(bind("127.0.0.1", 0, may_move=False)) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        configure(stopped, replace(Settings(), rpc=RpcSettings(port=port)))
        assert faults(stopped) == [f"ports: rpc: cannot listen on 127.0.0.1 port {port}: another program listens there"]


def test_keys_that_others_may_read_are_a_fault(stopped: Path) -> None:
    key = next((stopped / "config" / "operators").rglob("account_key.json"))
    key.chmod(0o644)
    assert faults(stopped) == [f"keys: others may read {key}"]


async def test_a_state_whose_bytes_changed_is_a_fault(new_home: Home) -> None:
    async with running(new_home, port=0) as node:
        await node.engine.wait_for_height(3)
    assert findings(new_home.path)["store"][0].said.startswith("the state at height")
    environment = lmdb.open(str(new_home.data / "state"), max_dbs=8)
    table = environment.open_db(b"state")
    with environment.begin(write=True) as writing:
        writing.put(b"account/" + bytes(20), b"\x82\x01\x00", db=table)
    environment.close()
    (fault,) = (fault for fault in faults(new_home.path) if fault.startswith("store"))
    assert "stored is" in fault


def test_rules_that_this_program_does_not_know_are_a_warning_and_then_a_fault() -> None:
    coming = Upgrade(1, max(KNOWN_RULES) + 1, 100).encode()
    verdicts = [store._rules(coming, height).verdict for height in (50, 98, 99, 200)]
    assert verdicts == [Verdict.warning, Verdict.warning, Verdict.problem, Verdict.problem]
    assert store._rules(None, 50).verdict is store._rules(Upgrade(1, 1, 9).encode(), 50).verdict is Verdict.ok


def test_a_missing_or_other_cometbft_is_said(networked: Path, tmp_path: Path) -> None:
    program = tmp_path / "cometbft"
    for version, verdict in ((binary.VERSION, Verdict.ok), ("0.38.1", Verdict.warning), ("1.0.0", Verdict.problem)):
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)
        configure(networked, replace(Settings(), engine="cometbft", cometbft=CometSettings(str(program))))
        assert [one.verdict for one in findings(networked)["versions"]] == [verdict]
    program.unlink()
    assert findings(networked)["versions"][0].verdict is Verdict.problem


def test_blocks_without_a_note_of_the_last_signature_are_a_fault(networked: Path) -> None:
    data = networked / "cometbft" / "data"
    (data / "blockstore.db").mkdir(parents=True)
    assert any("which says what was signed last" in fault for fault in faults(networked))
    (data / "priv_validator_state.json").write_text('{"height": "71", "round": 0, "step": 3}')
    assert findings(networked)["keys"][1].said == "the last signature was at height 71"


def test_a_home_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Faulty, match="home_invalid"):
        faults(tmp_path)
