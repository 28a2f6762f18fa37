"""The agent among the real parts: four signers, the hub, mosquitto. Killed on the way, and paid all the same."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from appliance.agent import status as agent_status
from dccn.demo.network import Network, Places

pytestmark = pytest.mark.slow


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(Places(tmp_path), "127.0.0.1")
    try:
        network.start()
        yield network
    finally:
        network.stop()


def wait_for(network: Network, event: str, timeout_s: float = 45.0) -> dict[str, object]:
    deadline_s = time.monotonic() + timeout_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        found = network.children.events.get(timeout=left_s)
        if found.get("event") == event and found.get("part") == "agent":
            return found
    raise AssertionError(f"the agent did not tell {event} within {timeout_s} s")


def test_a_killed_agent_comes_back_is_paid_and_proves_it(network: Network) -> None:
    wait_for(network, "record_accepted")
    for _ in range(2):
        agent = network.children.parts["agent"].process
        assert agent is not None
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait()
        assert network.children.restart_dead() == ["agent"]
        wait_for(network, "record_accepted")
    reward = wait_for(network, "reward_verified")
    assert float(str(reward["amount"])) > 0
    status = agent_status.read(network.places.agent)
    assert status["light_client"] == "ok" and status["registered"] and status["inclusion_verified"]
    with urlopen(f"{network.page_url.rstrip('/')}/api/overview", timeout=10) as answer:
        overview = json.load(answer)
    assert overview["records_refused"] == 0 and len(overview["devices"]) == 1
    accepted = status["accepted_seq"]
    assert isinstance(accepted, int) and overview["records_accepted"] >= accepted + 1
