"""Where a change of state begins and ends: one transaction, its audit rows, and its events after the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, insert

from fleet.hub.actions.bus import EventBus
from fleet.hub.actions.events import NOT_AUDITED, HubEvent, kind_of
from fleet.hub.store import Store
from fleet.hub.store.tables import events as events_table


@dataclass(slots=True)
class Change:
    """An open transaction. `emit` queues an event; it is published only if the transaction commits."""

    connection: Connection
    at_ms: int
    _events: list[HubEvent] = field(default_factory=list)

    def emit(self, event: HubEvent) -> None:
        self._events.append(event)
        if type(event) not in NOT_AUDITED:
            self.connection.execute(insert(events_table).values(audit_row(event)))


@dataclass(frozen=True, slots=True)
class Desk:
    """What every action needs: the store, the bus, and the clock in milliseconds since 1970."""

    store: Store
    bus: EventBus
    now_ms: Callable[[], int]

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Write in one transaction, then publish what was emitted in it."""
        with self.store.begin() as connection:
            change = Change(connection, self.now_ms())
            yield change
        for event in change._events:
            self.bus.publish(event)


def audit_row(event: HubEvent) -> dict[str, object]:
    """The event as a row of the table `events`; for a hot path that writes its own SQL too."""
    return {
        "at_ms": event.at_ms,
        "kind": kind_of(event),
        "topic_id": getattr(event, "device", None),
        "body": msgspec.json.encode(event).decode(),
    }
