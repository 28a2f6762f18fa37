"""What the tests of faults share: homes on free ports, and the processes that belong to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from whole_network import WholeNetwork
from whole_processes import MARK, free_ports, running_in


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home; every process of the test carries its path in the environment, and none outlives the test."""
    place = tmp_path / "home"
    monkeypatch.setenv(MARK, str(place))
    yield place
    for process in running_in(place):
        process.kill()


@pytest.fixture
def network(home: Path) -> Iterator[WholeNetwork]:
    """The demo's network, started, on ports of its own."""
    whole = WholeNetwork(home, free_ports(4))
    try:
        whole.start()
        yield whole
    finally:
        whole.stop()
