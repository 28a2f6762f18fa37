"""Clocks an hour off, told by libfaketime to every library of the process, OpenSSL included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_audit import read_hub
from whole_network import choose_ports
from whole_processes import Command, free_ports

from dccn.demo.network import FLEET, Places
from fleet.hub.actions.offline import create_token

LIBRARY = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
HOUR_S = 3_600

pytestmark = pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed: apt-get install faketime")


def clock(offset_s: int) -> dict[str, str]:
    """The environment of a process whose wall clock is off; time that only goes forward stays as it is."""
    return {"LD_PRELOAD": str(LIBRARY[0]), "FAKETIME": f"{offset_s:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.fixture
def places(home: Path) -> Places:
    chosen = Places(home)
    choose_ports(chosen, free_ports(4))
    return chosen


@pytest.fixture
def node(places: Places) -> Iterator[str]:
    """The RPC address of a node with the right time."""
    with Command("node", "run", "--home", places.node, "--json") as program:
        yield str(program.named("ready")["rpc"])


def hub(places: Places, node: str, offset_s: int = 0) -> Command:
    where = ("--home", places.hub, "--fleet", FLEET, "--node", node, "--record-interval-ms", "1000", "--json")
    return Command("hub", "run", *where, environment=clock(offset_s) if offset_s else None)


@pytest.mark.slow
@pytest.mark.parametrize("offset_s", [-HOUR_S, HOUR_S])
def test_an_agent_takes_its_time_from_the_hub(places: Places, node: str, offset_s: int) -> None:
    with hub(places, node) as of:
        where = (
            "--home",
            places.agent,
            "--hub",
            of.named("ready")["devices"],
            "--token",
            create_token(places.hub, FLEET),
        )
        with Command("agent", "run", *where, "--json", environment=clock(offset_s)) as agent:
            told = agent.named("clock_off")
            assert abs(told["offset_ms"] / 1000 + offset_s) < 5
            accepted = agent.event(lambda event: event.get("event") == "record_accepted" and event["seq"] >= 3)
            assert abs(accepted["time_ms"] - accepted["hub_time_ms"]) < 5_000
            agent.named("inclusion_verified")
    found = read_hub(places)
    assert found.refusals == {} and found.contradictions == 0


def test_a_node_an_hour_behind_its_own_chain_does_not_start(places: Places) -> None:
    with Command("node", "run", "--home", places.node, "--json") as program:
        program.named("ready")
    with Command("node", "run", "--home", places.node, environment=clock(-HOUR_S)) as late:
        assert late.ended() == 1
        assert "clock_off" in late.stderr and len(late.stderr.splitlines()) == 1, late.stderr


@pytest.mark.parametrize("offset_s", [-HOUR_S, HOUR_S])
def test_a_hub_whose_clock_is_off_stops_with_one_sentence(places: Places, node: str, offset_s: int) -> None:
    with hub(places, node, offset_s) as of:
        assert of.ended() == 1
        sentences = [line for line in of.stderr.splitlines() if line.startswith("dccn: ")]
        assert len(sentences) == 1 and "clock_off" in sentences[0], of.stderr
        assert ("behind" if offset_s < 0 else "ahead") in sentences[0]
        assert "Traceback" not in of.stderr
