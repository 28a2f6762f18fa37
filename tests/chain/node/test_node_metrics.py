"""What a node exposes is what its registry names, both ways; and the numbers are those of the chain."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chain.engines.cometbft.configuration import PeerSettings
from chain.errors import Faulty
from chain.light.rpc import RpcClient
from chain.node import home as node_home
from chain.node import metrics
from chain.node.cometbft import running_cometbft
from chain.node.home import Home
from chain.node.metrics import REGISTRY, Kind, NodeMetrics
from chain.node.server import running
from chain.node.settings import MetricsSettings, RpcSettings
from chain.wire.transactions import ANKR, sign, transfer
from tests.chain.engines.cometbft.network import free_ports, wait_for
from tests.chain.node.conftest import CHAIN_ID, HUB

OF_PROCESS = "process_"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(port: int) -> tuple[dict[str, str], Samples]:
    """Families by name with their kinds, and all samples."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    kinds = {family.name + ("_total" if family.type == "counter" else ""): family.type for family in families}
    samples = {
        (one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples
    }
    return kinds, samples


async def test_a_node_exposes_what_the_registry_names_and_counts_what_happened(new_home: Home) -> None:
    (port,) = free_ports(1)
    home = replace(new_home, settings=replace(new_home.settings, metrics=MetricsSettings(port=port)))
    good = sign(HUB, CHAIN_ID, transfer(bytes(20), ANKR), nonce=0, fee=5 * ANKR).encode()
    async with running(home, port=0) as node:
        rpc = RpcClient(node.rpc_url)
        # The node's loop is this one: whatever waits for the node does so on another thread.
        assert (await asyncio.to_thread(rpc.broadcast_tx_sync, good)).code == 0
        assert (await asyncio.to_thread(rpc.broadcast_tx_sync, b"nonsense")).code != 0
        await asyncio.to_thread(wait_for, lambda: rpc.tx(sha256(good).digest()))
        await asyncio.to_thread(rpc.abci_query, "/parameters", b"")
        kinds, samples = await asyncio.to_thread(scrape, port)
        rpc.close()
    own = {name: kind for name, kind in kinds.items() if not name.startswith(OF_PROCESS)}
    assert own == {metric.name: metric.kind.value for metric in REGISTRY}
    assert len(own) < len(kinds), "those of the process"
    assert samples["dccn_block_transactions_total", (("result", "ok"),)] == 1
    assert samples["dccn_checked_transactions_total", (("result", "ok"),)] >= 1
    assert samples["dccn_checked_transactions_total", (("result", "malformed"),)] == 1
    assert samples["dccn_height", ()] == samples["dccn_blocks_proposed_total", ()] >= 1  # all four keys are here
    assert samples["dccn_proposals_judged_total", (("verdict", "accepted"),)] >= samples["dccn_height", ()]
    assert abs(samples["dccn_block_time_seconds", ()] - home.genesis.time_ns / 1e9) < 120
    assert samples["dccn_state_bytes", ()] > 0 and samples["dccn_disk_free_bytes", ()] > 0
    timed = {dict(labels)["call"] for name, labels in samples if name == "dccn_abci_seconds_count"}
    assert timed == {"check_tx", "prepare_proposal", "process_proposal", "finalize_block", "commit", "query"}


@pytest.mark.engine
async def test_cometbft_serves_its_own_where_the_settings_say(tmp_path: Path) -> None:
    port, rpc, p2p = free_ports(3)
    node_home.init_seed(tmp_path, bytes(20), time.time_ns())
    home = node_home.load(tmp_path)
    settings = replace(
        home.settings,
        rpc=RpcSettings(port=rpc),
        p2p=PeerSettings(port=p2p),
        metrics=MetricsSettings(cometbft_port=port),
    )
    async with running_cometbft(replace(home, settings=settings)):
        kinds, _ = await asyncio.to_thread(wait_for, lambda: scrape_or_none(port))
    assert kinds["cometbft_consensus_height"] == "gauge"


def scrape_or_none(port: int) -> tuple[dict[str, str], Samples] | None:
    """None while nobody listens yet."""
    try:
        return scrape(port)
    except OSError:
        return None


def test_every_metric_is_named_by_the_rules() -> None:
    for metric in REGISTRY:
        assert metric.name.startswith("dccn_") and metric.meaning.endswith(".")
        assert metric.name.endswith("_total") == (metric.kind is Kind.counter)
    assert len({metric.name for metric in REGISTRY}) == len(REGISTRY)


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with NodeMetrics(tmp_path).served("127.0.0.1", port):
        with (
            pytest.raises(Faulty, match=f"port_occupied.*port {port}"),
            NodeMetrics(tmp_path).served("127.0.0.1", port),
        ):
            raise AssertionError("served twice")
        assert "dccn_height" in scrape(port)[0]


def test_an_unknown_code_is_shown_as_its_number() -> None:
    assert [metrics._result(code) for code in (0, 11, 9999)] == ["ok", "tx_bad_nonce", "9999"]
