"""Tells devices that their end was asked for: at once if they listen, and whenever they come back, until it is done."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Final

from sqlalchemy import select

from fleet.hub.actions.desk import Desk
from fleet.hub.actions.ended import open_request
from fleet.hub.actions.events import DecommissionAsked, DeviceOnline, HubEvent
from fleet.hub.commander import Commander
from fleet.hub.store.tables import devices
from fleet.protocol.decommission import COMMAND_KIND
from fleet.protocol.topics import COMMAND_DECOMMISSION

VALID_MS: Final = 10 * 60_000


class Ending:
    """Listens to the bus, works in a thread of its own."""

    def __init__(self, desk: Desk, commands: Commander) -> None:
        self._desk = desk
        self._commands = commands
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        self._cancel: Callable[[], None] = lambda: None
        self._thread = Thread(target=self._run, name="ending", daemon=True)

    def start(self) -> None:
        self._cancel = self._desk.bus.listen(self._note)
        self._thread.start()

    def stop(self) -> None:
        self._cancel()
        self._waiting.put(None)
        self._thread.join(10)

    def _note(self, event: HubEvent) -> None:
        if isinstance(event, DecommissionAsked | DeviceOnline):
            self._waiting.put(event.device)

    def _run(self) -> None:
        while (topic := self._waiting.get()) is not None:
            with self._desk.store.read() as connection:
                device = connection.execute(select(devices.c.device).where(devices.c.topic_id == topic)).scalar()
                asked = None if device is None else open_request(connection, bytes(device))
            if asked is not None:
                self._commands.send(COMMAND_DECOMMISSION, asked.device, COMMAND_KIND, [asked.nonce], VALID_MS)
