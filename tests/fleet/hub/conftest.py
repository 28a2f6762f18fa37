"""A hub's parts on a clock that the test moves, in a home of its own."""

import pytest

from fleet.hub.actions.bus import EventBus
from fleet.hub.actions.desk import Desk
from fleet.hub.identity.membership import Identity
from fleet.hub.store import open_store


class Clock:
    """Milliseconds since 1970."""

    def __init__(self, now_ms):
        self.now_ms = now_ms

    def __call__(self):
        return self.now_ms

    def advance(self, *, seconds=0):
        self.now_ms += round(seconds * 1000)


@pytest.fixture
def clock():
    return Clock(1_790_000_000_000)


@pytest.fixture
def desk(tmp_path, clock):
    store = open_store(tmp_path)
    yield Desk(store, EventBus(), clock)
    store.close()


@pytest.fixture
def published(desk):
    """Every event that the bus carried, in order."""
    events = []
    desk.bus.listen(events.append)
    return events


@pytest.fixture
def identity(tmp_path, clock):
    return Identity.open(tmp_path, "home", clock)
