"""Committed transactions per second on real four-node CometBFT networks on this machine, of three applications.

Ours, with every signature verified in CheckTx; CometBFT's own built-in kvstore, which is Go in CometBFT's process; and
a Python application behind our ABCI server that accepts everything. Genesis, settings, load and the transactions' size
are the same, and everything shares this machine's cores, the load included: only the ratios mean anything.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.bench.measure import Row
from tools.bench.network.load import BlockTimes, key_values, pushed, transfers
from tools.bench.network.nodes import KINDS, FourNodes

SECONDS = float(os.environ.get("DCCN_BENCH_SECONDS", "30"))
"""How long each network is under load."""

NOTE_TPS = 1_000
"""What the note asks for."""

SENDERS = 1_600
"""Two batches for each node in a round, so that all of a sender's transactions go to one node, in their order."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Per second and in seconds: committed transactions, blocks' interval, and from sending to being committed."""

    per_second: float
    interval_s: float
    latency_s: tuple[float, float, float]  # 50, 95, 99 %


def rows() -> Iterator[Row]:
    found: dict[str, Measured] = {}
    for kind in KINDS:
        found[kind] = measure(kind)
    ours, kvstore, noop = (found[kind] for kind in KINDS)
    what = "four nodes: committed transactions"
    yield Row(what, ours.per_second, "per s", "kvstore in Go per s", kvstore.per_second, (">=", 0.6))
    yield Row("the same against doing nothing in Python", ours.per_second, "per s", "no-op per s", noop.per_second)
    yield Row("four nodes under load: the note's rate", ours.per_second, "per s", "asked per s", NOTE_TPS, (">=", 1.0))
    yield Row("block interval under load, median", ours.interval_s, "s", "kvstore s", kvstore.interval_s)
    for name, mine, theirs in zip(("50", "95", "99"), ours.latency_s, kvstore.latency_s, strict=True):
        yield Row(f"sent to committed, {name} %", mine, "s", "kvstore s", theirs)


def measure(kind: str, seconds: float = SECONDS, per_second: float | None = None) -> Measured:
    """One network of one kind under so much load, or as much as it takes."""
    with tempfile.TemporaryDirectory(prefix="dccn-bench-") as folder, FourNodes(Path(folder), kind, SENDERS) as nodes:
        size = len(next(transfers(nodes.senders, nodes.chain_id)))
        source = transfers(nodes.senders, nodes.chain_id) if kind == "ours" else key_values(size)
        times = pushed(nodes.urls, source, seconds, per_second)
    return summary(times)


def summary(times: BlockTimes) -> Measured:
    cuts = statistics.quantiles(times.latencies_s, n=100) if len(times.latencies_s) > 1 else [float("nan")] * 99
    return Measured(times.per_second, statistics.median(times.intervals_s), (cuts[49], cuts[94], cuts[98]))
