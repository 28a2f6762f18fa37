"""Clocks and keys that tests of the agent share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.agent.clock import HubClock

sys.path.insert(0, str(Path(__file__).parent))

from small_fleet import SmallFleet
from small_hub import SmallHub


class HandClock:
    """A clock that stands still until it is moved by hand."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.ms = now_ms
        self.boot = 5_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.boot / 1000

    def pass_ms(self, ms: int) -> None:
        self.ms += ms
        self.boot += ms


class Events:
    """An `Emit` that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        self.seen.append((event, fields))

    def named(self, event: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.seen if name == event]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def hub_clock() -> HubClock:
    return HubClock()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[SmallHub]:
    folder = tmp_path / "hub"
    folder.mkdir()
    hub = SmallHub(folder)
    yield hub
    hub.close()


@pytest.fixture
def fleet(hub: SmallHub, tmp_path: Path) -> Iterator[SmallFleet]:
    folder = tmp_path / "broker"
    folder.mkdir()
    fleet = SmallFleet(hub, folder)
    fleet.listen()
    yield fleet
    fleet.close()
