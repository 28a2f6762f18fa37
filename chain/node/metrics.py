"""What a node measures about itself, for Prometheus: one registry, from which `docs/metrics.md` is generated.

Names follow Prometheus' practice: base units, `_total` for counters. CometBFT serves its own beside these.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from chain.errors import REGISTRY as ERRORS
from chain.errors import Faulty

OK = "ok"
SECONDS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_ERROR_NAMES = {code.number: name for name, code in ERRORS.items()}


class Kind(StrEnum):
    counter = "counter"
    gauge = "gauge"
    histogram = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """`meaning` is one sentence; `labels` are the dimensions, each with few values."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()


NODE_INFO = Metric("dccn_node_info", Kind.gauge, "1, with what this node is.", ("chain_id", "engine", "moniker"))
HEIGHT = Metric("dccn_height", Kind.gauge, "The last committed height.")
BLOCK_TIME = Metric("dccn_block_time_seconds", Kind.gauge, "The last committed block's time, since the Unix epoch.")
PROPOSED = Metric("dccn_blocks_proposed_total", Kind.counter, "Committed blocks that a key of this node proposed.")
BLOCK_TXS = Metric(
    "dccn_block_transactions_total",
    Kind.counter,
    "Transactions in committed blocks, without the beacons; `result` is `ok` or an error code.",
    ("result",),
)
CHECKED_TXS = Metric(
    "dccn_checked_transactions_total",
    Kind.counter,
    "Transactions that were offered to this node; `result` is `ok` or an error code.",
    ("result",),
)
JUDGED = Metric(
    "dccn_proposals_judged_total", Kind.counter, "Proposals that this node accepted or rejected.", ("verdict",)
)
CALLS = Metric("dccn_abci_seconds", Kind.histogram, "What the engine's calls of the application take.", ("call",))
STATE_BYTES = Metric("dccn_state_bytes", Kind.gauge, "What the state's file takes on disk.")
DISK_FREE = Metric("dccn_disk_free_bytes", Kind.gauge, "Free space where the home is.")
ENGINE_DEATHS = Metric("dccn_engine_deaths_total", Kind.counter, "How often CometBFT ended and was started again.")

REGISTRY: Final = (
    NODE_INFO,
    HEIGHT,
    BLOCK_TIME,
    PROPOSED,
    BLOCK_TXS,
    CHECKED_TXS,
    JUDGED,
    CALLS,
    STATE_BYTES,
    DISK_FREE,
    ENGINE_DEATHS,
)


class NodeMetrics:
    """One node's values. Setting is cheap and may happen on any thread; so may reading."""

    def __init__(self, home: Path) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside every counter, which nobody asks for
        self._collectors = CollectorRegistry()
        ProcessCollector(registry=self._collectors)
        self._info = self._gauge(NODE_INFO)
        self.height = self._gauge(HEIGHT)
        self.block_time_s = self._gauge(BLOCK_TIME)
        self.proposed = self._counter(PROPOSED)
        self._block_txs = self._counter(BLOCK_TXS)
        self._checked_txs = self._counter(CHECKED_TXS)
        self._judged = self._counter(JUDGED)
        self._calls = Histogram(CALLS.name, CALLS.meaning, CALLS.labels, registry=self._collectors, buckets=SECONDS)
        self._gauge(STATE_BYTES).set_function(lambda: _bytes_on_disk(home / "data" / "state" / "data.mdb"))
        self._gauge(DISK_FREE).set_function(lambda: float(shutil.disk_usage(home).free))
        self.engine_deaths = self._counter(ENGINE_DEATHS)
        # Finding a label's series costs more than counting, and CheckTx is called for every transaction.
        self._call = cache(self._calls.labels)
        self._in_block = cache(lambda code: self._block_txs.labels(_result(code)))
        self._checked = cache(lambda code: self._checked_txs.labels(_result(code)))

    def is_node(self, chain_id: str, engine: str, moniker: str) -> None:
        self._info.labels(chain_id, engine, moniker).set(1)

    def count_in_block(self, code: int) -> None:
        self._in_block(code).inc()

    def count_checked(self, code: int) -> None:
        self._checked(code).inc()

    def count_judged(self, *, accepted: bool) -> None:
        self._judged.labels("accepted" if accepted else "rejected").inc()

    def took(self, call: str, begun_s: float) -> None:
        """Notes one call of the application, which began at this time of `perf_counter`."""
        self._call(call).observe(perf_counter() - begun_s)

    @contextmanager
    def served(self, host: str, port: int) -> Iterator[None]:
        """Serves `/metrics` on a thread of its own; port 0 serves nothing. Raises Faulty `port_occupied`."""
        if not port:
            yield
            return
        try:
            server, thread = start_http_server(port, host, self._collectors)
        except OSError as error:
            raise Faulty("port_occupied", f"serving metrics on {host} port {port}: {error.strerror}") from error
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.meaning, metric.labels, registry=self._collectors)

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.meaning, metric.labels, registry=self._collectors)


def _result(code: int) -> str:
    return _ERROR_NAMES.get(code, str(code)) if code else OK


def _bytes_on_disk(path: Path) -> float:
    """LMDB's file is sparse: what counts is the blocks that it has."""
    try:
        return float(path.stat().st_blocks * 512)
    except OSError:
        return float("nan")
