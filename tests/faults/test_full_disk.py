"""A full disk under the hub and under the agent, at the start and in the middle: told, survived, nothing lost."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from whole_audit import check_batches, check_chain, check_records, read_hub, read_spool
from whole_network import WholeNetwork, choose_ports, reading
from whole_processes import Command, free_ports, wait_until

from dccn.demo.network import Places

SMALL_BYTES = 4 << 20


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own with few bytes. Mounting takes root; without it there is no full disk to be had."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES},mode=0755", "none", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    filler = disk / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
    with contextlib.suppress(OSError):
        for size in (65_536, 4_096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(descriptor, b"x" * size)
    os.close(descriptor)
    return filler


@pytest.fixture
def hub_disk(home: Path) -> Iterator[Path]:
    with small_disk(home / "hub") as disk:
        yield disk


@pytest.fixture
def agent_disk(home: Path) -> Iterator[Path]:
    with small_disk(home / "agent") as disk:
        yield disk


def test_a_hub_does_not_start_on_a_full_disk(hub_disk: Path, home: Path) -> None:
    choose_ports(Places(home), free_ports(4))
    fill(hub_disk)
    with Command("hub", "run", "--home", hub_disk) as hub:
        assert hub.ended() == 1
        assert [line.partition(":")[0] for line in hub.stderr.splitlines()] == ["dccn"], hub.stderr
        assert "disk_full" in hub.stderr


def test_an_agent_does_not_start_on_a_full_disk(agent_disk: Path) -> None:
    fill(agent_disk)
    with Command("agent", "run", "--home", agent_disk, "--hub", "https://127.0.0.1:1") as agent:
        assert agent.ended() == 1
        assert [line.partition(":")[0] for line in agent.stderr.splitlines()] == ["dccn"], agent.stderr
        assert "disk_full" in agent.stderr


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_hub_whose_disk_fills_acknowledges_nothing_and_goes_on(
    hub_disk: Path, network: WholeNetwork, tmp_path
) -> None:
    network.wait_for(lambda event: event.get("event") == "record_accepted", 40, "a first record")
    filler = fill(hub_disk)
    hub = network.process("hub")
    made = network.head_seq()
    network.pump(1)
    wait_until(lambda: network.head_seq() >= made + 5 or network.pump(0.2), 30, "the agent goes on recording")
    with reading(network.places.agent / "spool.sqlite") as database:
        (waiting,) = database.execute("SELECT count(*) FROM record").fetchone()
    assert waiting >= 3, "the agent keeps what the hub could not store"
    assert network.process("hub") == hub, "the hub is still there"
    with urlopen(f"{network.network.page_url}/api/overview", timeout=10) as answer:
        assert json.load(answer)["devices"]

    filler.unlink()
    resumed = network.head_seq()
    network.wait_for(
        lambda event: event.get("event") == "record_accepted" and event["seq"] >= resumed, 60, "records are taken again"
    )
    network.stop()
    found, spool = read_hub(network.places), read_spool(network.places)
    check_records(found, spool, 0)
    _, included = check_chain(network.places, tmp_path / "replayed")
    check_batches(found, included)
    assert set(found.refusals) <= {"record_replay", "pog_late"} and not found.contradictions, found.refusals


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_agent_whose_disk_fills_says_so_and_resumes(agent_disk: Path, network: WholeNetwork) -> None:
    network.wait_for(lambda event: event.get("event") == "record_accepted", 40, "a first record")
    filler = fill(agent_disk)
    full = network.wait_for(lambda event: event.get("event") == "spool_full", 60, "it says that the disk is full")
    assert "full" in full["reason"]
    filler.unlink()
    network.wait_for(lambda event: event.get("event") == "spool_resumed", 30, "it has room again")
    resumed = network.head_seq()
    network.wait_for(
        lambda event: event.get("event") == "record_accepted" and event["seq"] >= resumed, 30, "records go on"
    )
    assert "agent" not in network.restarted
    network.stop()
    found, spool = read_hub(network.places), read_spool(network.places)
    check_records(found, spool, resumed)
    assert not found.contradictions and set(found.refusals) <= {"record_replay", "pog_late"}, found.refusals
