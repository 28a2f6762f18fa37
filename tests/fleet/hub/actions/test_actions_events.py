"""Events: registered, audited on commit, published after it."""

import msgspec
import pytest
from sqlalchemy import select

from fleet.hub.actions import events as module
from fleet.hub.actions.events import EVENTS, NOT_AUDITED, DeviceOnline, HubEvent, HubStarted, TokenCreated, kind_of
from fleet.hub.page.sentences import line
from fleet.hub.store.tables import events

SAMPLES = {str: "x", int: 7, bool: True, dict: {}}


def sample(kind):
    """An event of this kind with any values."""
    values = {"at_ms": 1}
    for field in msgspec.structs.fields(kind):
        if field.name != "at_ms":
            text = str(field.type)
            values[field.name] = {} if "dict" in text else 7 if "int" in text else True if "bool" in text else "enrol"
    return kind(**values)


def test_every_event_is_registered_with_a_meaning():
    defined = {kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, HubEvent)}
    assert defined - {HubEvent} == set(EVENTS)
    assert all(kind.__doc__ for kind in EVENTS) and set(EVENTS) >= NOT_AUDITED
    assert len({kind_of(kind) for kind in EVENTS}) == len(EVENTS)


@pytest.mark.parametrize("kind", EVENTS, ids=kind_of)
def test_every_event_has_a_sentence_for_people_and_a_kind_for_programs(kind):
    event = sample(kind)
    assert line(event).text
    assert msgspec.json.decode(msgspec.json.encode(event))["kind"] == kind_of(kind)


def test_events_are_published_after_the_commit_and_audited_with_it(desk, published):
    with desk.change() as change:
        change.emit(HubStarted(at_ms=1, version="0"))
        assert published == []
    assert [kind_of(event) for event in published] == ["hub-started"]
    with desk.store.read() as connection:
        assert connection.execute(select(events.c.kind)).scalars().all() == ["hub-started"]


def test_what_was_not_committed_never_happened(desk, published):
    with pytest.raises(ZeroDivisionError), desk.change() as change:
        change.emit(TokenCreated(at_ms=1, expires_ms=2))
        _ = 1 // 0
    with desk.store.read() as connection:
        assert connection.execute(select(events.c.kind)).scalars().all() == []
    assert published == []


def test_a_listener_that_fails_hurts_nobody_else(desk, published):
    def broken(event):
        raise RuntimeError("listener")

    cancel = desk.bus.listen(broken)
    seen = []
    desk.bus.listen(seen.append)
    desk.bus.publish(DeviceOnline(at_ms=1, device="ab"))
    cancel()
    assert len(seen) == len(published) == 1
