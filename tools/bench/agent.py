"""What the agent takes from the machine that it runs on, beside a Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from dccn.demo.network import Network, Places
from tools.bench.measure import Row

SETTLE_S = 20.0
WATCH_S = 30.0


def rows() -> Iterator[Row]:
    bare = bare_python_bytes()
    with tempfile.TemporaryDirectory(prefix="dccn-bench-") as folder:
        network = Network(Places(Path(folder)), "127.0.0.1")
        try:
            network.start()
            child = network.children.parts["agent"].process
            assert child is not None
            agent = psutil.Process(child.pid)
            time.sleep(SETTLE_S)  # enrolment and the first challenge are over: what follows is everyday life
            before = agent.cpu_times()
            time.sleep(WATCH_S)
            after, resident = agent.cpu_times(), agent.memory_info().rss
        finally:
            network.stop()
    spent = (after.user + after.system) - (before.user + before.system)
    yield Row("agent: resident memory", resident / 1e6, "MB", aim=("<=", 60.0))
    yield Row("agent: resident memory against a bare Python", resident / 1e6, "MB", "Python, MB", bare / 1e6)
    # In the demo a record a second, a block every half second: the everyday rate is one record a minute.
    yield Row("agent: CPU share at one record a second, prover apart", 100 * spent / WATCH_S, "% of a core")


def bare_python_bytes() -> int:
    """Resident memory of an interpreter that has imported nothing."""
    idle = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    time.sleep(0.5)
    resident = int(psutil.Process(idle.pid).memory_info().rss)
    idle.communicate(b"\n")
    return resident
