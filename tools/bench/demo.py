"""How long a newcomer waits, from the start of `dccn demo` to the machine's own proof of its first pay."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from tools.bench.measure import Row

SECONDS = 45


def rows() -> Iterator[Row]:
    command = [sys.executable, "-m", "dccn", "demo", "--seconds", str(SECONDS), "--json"]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    result = json.loads(run.stdout)
    waited = result.get("seconds_to_first_reward")
    yield Row(
        "demo: start to the first reward that the machine verified", waited or float("inf"), "s", aim=("<=", 20.0)
    )
    yield Row("demo: the whole path holds", float(bool(result["ok"])), "", aim=(">=", 1.0))
