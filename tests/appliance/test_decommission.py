"""A machine's end among the real parts: the hub commands, the chain lets go, the proof arrives, the helper wipes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.request import urlopen

import pytest

from appliance.agent.data_volume import data_volume
from appliance.image import fat
from appliance.reset.wipe import Method
from dccn.demo.network import Network, Places
from tests.appliance.running_helper import RunningHelper

Start = Callable[..., RunningHelper]


@pytest.fixture
def helper(start_helper: Start) -> RunningHelper:
    running = start_helper("agent")
    fat.make(running.folder / "config.img", 34 << 20, "DCCNCFG", 1, {}, 1_767_225_600)
    return running


@pytest.fixture
def network(tmp_path: Path, helper: RunningHelper) -> Iterator[Network]:
    places = Places(tmp_path)
    places.agent.mkdir(parents=True, mode=0o700)
    (places.agent / "dccn.toml").write_text(f'[agent]\nhelper_socket = "{helper.socket}"\n')
    network = Network(places, "127.0.0.1")
    try:
        network.start()
        yield network
    finally:
        network.stop()


def wait_for(network: Network, event: str, timeout_s: float = 60.0) -> dict[str, Any]:
    deadline_s = time.monotonic() + timeout_s
    seen: list[str] = []
    while (left_s := deadline_s - time.monotonic()) > 0:
        try:
            found = network.children.events.get(timeout=left_s)
        except Empty:
            break
        if found.get("event") == event and found.get("part") == "agent":
            return found
        seen.append(json.dumps(found))
    raise AssertionError(f"the agent did not tell {event} within {timeout_s} s, but: " + "\n".join(seen[-30:]))


def shown(network: Network, what: str) -> dict[str, Any]:
    with urlopen(f"{network.page_url.rstrip('/')}/api/{what}", timeout=10) as answer:
        document: dict[str, Any] = json.load(answer)
        return document


def decommission(network: Network, device: str, secret: str) -> subprocess.CompletedProcess[str]:
    """As an admin does at the hub's own machine."""
    options = ("--page", network.page_url, "--secret-file", "-", "--json")
    command = [sys.executable, "-m", "dccn", "hub", "decommission", device, *options]
    return subprocess.run(command, input=f"{secret}\n", capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_a_machine_leaves_the_chain_signs_and_only_then_is_wiped(network: Network, helper: RunningHelper) -> None:
    wait_for(network, "record_accepted")
    device = shown(network, "overview")["devices"][0]["device"]
    assert decommission(network, device, "a guess").returncode == 1
    asked = decommission(network, device, network.admin_secret or "")
    assert json.loads(asked.stdout)["decommission"]["state"] == "asked", asked.stderr
    stated = wait_for(network, "wipe_stated")
    assert stated["revoked_height"] > 0
    deadline_s = time.monotonic() + 30
    while not helper.calls:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    assert helper.calls == ["systemctl --no-block reboot"]
    nonce, chain = fat.get(helper.folder / "config.img", "factory-reset").decode().split()
    end = shown(network, f"devices/{device}")["decommission"]
    assert (end["state"], end["revoked_height"]) == ("stated", stated["revoked_height"])
    assert len(nonce) == 32 and chain


def test_the_data_volume_is_named_by_what_the_boot_noted_and_udevs_links(tmp_path: Path) -> None:
    assert data_volume(tmp_path).uuid is None and data_volume(tmp_path).method is Method.overwritten
    disk, run = tmp_path / "dev/disk", tmp_path / "run/dccn"
    for folder in (disk / "by-partlabel", disk / "by-uuid", run):
        folder.mkdir(parents=True)
    for number in (6, 7):
        (tmp_path / f"dev/vda{number}").touch()
    (disk / "by-partlabel/data").symlink_to("../../vda7")
    (disk / "by-uuid/0f8fad5b-d9cb-469f-a165-70867728950e").symlink_to("../../vda7")
    (disk / "by-uuid/ABCD-1234").symlink_to("../../vda6")
    (run / "storage").write_text("sealed\n")
    found = data_volume(tmp_path)
    assert found.method is Method.keys_destroyed and found.uuid is not None
    assert found.uuid.hex() == "0f8fad5bd9cb469fa16570867728950e"
