"""Defects 13, 14 and 18: work that waits, machines that lose their line, and what is known of them."""

from __future__ import annotations

import configparser
from itertools import permutations
from pathlib import Path

import pytest

from appliance.agent.connection import FIRST_DELAY_S, full_jitter_s
from appliance.agent.settings import Settings
from chain.crypto.keys import PrivateKey
from chain.proofs import counters
from chain.proofs.pog.challenge import Challenge
from chain.proofs.pog.profiles import profile_named
from chain.wire.bodies import pog_commit
from fleet.hub.chain.outbox import enqueue, open_rows, plan
from fleet.hub.store import open_store
from fleet.protocol.messages import GpuTelemetry, SystemTelemetry

ROOT = Path(__file__).parents[2]
KEY = PrivateKey.from_secret("ed25519", b"h" * 32)


def test_13_waiting_work_survives_a_restart_and_leaves_in_its_order(tmp_path: Path) -> None:
    """There queues lay in memory, a task that failed was only logged, and most pops were not the smallest."""
    store = open_store(tmp_path)
    connection = store.connect()
    for number in range(4):
        content = pog_commit(bytes(20), number, bytes(32), 1)
        enqueue(
            connection,
            kind="pog_commit",
            subject=f"pog/{number}",
            content=content,
            sender=KEY.public,
            valid_until_height=None,
            now_ms=number,
        )
    connection.close()
    store.close()
    reopened = open_store(tmp_path)
    connection = reopened.connect()
    rows = open_rows(connection)
    connection.close()
    reopened.close()
    assert [row.subject for row in rows] == [f"pog/{number}" for number in range(4)]
    for shuffled in permutations(rows):
        assert [(row.subject, nonce) for row, nonce in plan(shuffled, 7, 1).sign] == [
            (f"pog/{number}", 7 + number) for number in range(4)
        ]


def test_13_every_open_task_is_planned_again_until_a_block_has_it(tmp_path: Path) -> None:
    """There the first data center that was found ended the search, and nothing was tried twice."""
    store = open_store(tmp_path)
    connection = store.connect()
    content = pog_commit(bytes(20), 1, bytes(32), 1)
    options = {"kind": "pog_commit", "content": content, "sender": KEY.public, "valid_until_height": None, "now_ms": 0}
    assert enqueue(connection, subject="pog/1", **options)
    assert not enqueue(connection, subject="pog/1", **options)
    for _ in range(3):
        assert [row.subject for row, _ in plan(open_rows(connection), 0, 1).sign] == ["pog/1"]
    connection.close()
    store.close()


def test_14_who_computes_what_follows_from_the_chains_beacon_and_nothing_else() -> None:
    """There the hub drew a data center at random, and nobody could check the draw."""
    profile = profile_named("test")
    beacons, devices = (bytes([n]) * 32 for n in (1, 2)), [bytes([n]) * 32 for n in (3, 4, 5)]
    asked = [Challenge(profile, beacon, device, "cpu") for beacon in beacons for device in devices]
    again = [Challenge(profile, each.beacon, each.device, each.gpu) for each in asked]
    assert [each.key_a for each in asked] == [each.key_a for each in again]
    assert len({each.key_a for each in asked}) == 6 and len({each.key_b for each in asked}) == 2


@pytest.mark.parametrize("failures", [0, 1, 5, 16, 17, 10**6])
def test_14_a_lost_line_is_dialled_again_within_a_minute(tmp_path: Path, failures: int) -> None:
    """There a failed dial was followed by a sleep of 13.9 hours."""
    cap_s = Settings(home=tmp_path).reconnect_cap_s
    waits = [full_jitter_s(failures, cap_s, lambda share=share: share / 100) for share in range(100)]
    assert min(waits) == 0 and max(waits) < cap_s <= 60 and max(waits) <= FIRST_DELAY_S * 2.0 ** min(failures, 16)


def test_18_gpu_network_and_disk_are_counted_and_shown() -> None:
    """There a heartbeat knew no GPU, and its network traffic was the text "No data"."""
    assert {"net_rx_bytes", "net_tx_bytes", "disk_read_bytes", "disk_write_bytes"} <= counters.HOST.keys()
    assert {"energy_mj", "busy_ms", "ecc_uncorrected"} <= counters.GPU.keys()
    assert {"cpu_ns", "gpu_ms", "rss", "tx", "rx"} == counters.LOAD.keys()
    for message in (GpuTelemetry(at_ms=1, uuid="GPU-1"), SystemTelemetry(at_ms=1)):
        values = [getattr(message, name) for name in message.__struct_fields__ if name not in ("at_ms", "uuid")]
        assert 0 not in values, "what was not measured is unknown, not zero"


def test_18_the_agent_is_confined_by_its_service() -> None:
    """There nothing confined what ran on a machine, and images of users ran as they came."""
    service = configparser.RawConfigParser(strict=False)
    service.optionxform = str  # type: ignore[assignment,method-assign]
    service.read(ROOT / "deploy/dccn-agent.service")
    confined = dict(service["Service"])
    for name in ("NoNewPrivileges", "PrivateTmp", "RestrictSUIDSGID", "RestrictNamespaces", "DynamicUser"):
        assert confined[name] == "yes", name
    assert (confined["ProtectSystem"], confined["CapabilityBoundingSet"]) == ("strict", "")
