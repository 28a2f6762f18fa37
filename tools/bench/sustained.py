"""The note's rate kept up by a real four-node network for ten minutes. Not part of `make bench`: ask for it by name."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tools.bench.measure import Row
from tools.bench.network import NOTE_TPS, measure

SECONDS = float(os.environ.get("DCCN_BENCH_SECONDS", "600"))


def rows() -> Iterator[Row]:
    found = measure("ours", SECONDS, NOTE_TPS)
    what = f"four nodes for {SECONDS:g} s: committed"
    # The last blocks come after the load: what counts is that nothing piled up.
    yield Row(what, found.per_second, "per s", "sent per s", NOTE_TPS, (">=", 0.97))
    yield Row("block interval, median", found.interval_s, "s")
    for name, seconds in zip(("50", "95", "99"), found.latency_s, strict=True):
        yield Row(f"sent to committed, {name} %", seconds, "s")
