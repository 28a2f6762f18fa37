"""How fast the deterministic simulator decides heights: what a CPU second of safety testing buys."""

from __future__ import annotations

import random
from collections.abc import Iterator

from chain.consensus.conditions import Conditions
from chain.consensus.simulator import Simulation
from tools.bench.measure import Row, cpu_seconds

HEIGHTS = 2_000
FAULTY_HEIGHTS = 200


def rows() -> Iterator[Row]:
    calm = Conditions(validators=4, heights=HEIGHTS)
    rate = HEIGHTS / cpu_seconds(lambda: Simulation(random.Random(1), calm, 1).run(), 3)
    yield Row("simulator, 4 validators, no faults", rate, "heights per CPU s", aim=(">=", 5_000))
    rough = Conditions(
        validators=7, heights=FAULTY_HEIGHTS, loss=200, duplicates=50, crashes=4, partitions=2, faults_end_us=5_000_000
    )
    taken = cpu_seconds(lambda: Simulation(random.Random(2), rough, 2).run(), 3)
    yield Row("simulator, 7 validators, loss, crashes, partitions", FAULTY_HEIGHTS / taken, "heights per CPU s")
