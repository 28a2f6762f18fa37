"""The one event bus: whoever changes state publishes here after the commit, whoever wants to know listens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock

from fleet.hub.actions.events import HubEvent

Listener = Callable[[HubEvent], None]
_log = logging.getLogger(__name__)


class EventBus:
    """Thread-safe. Listeners run in the publisher's thread and must return at once: queue, do not work."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._lock = Lock()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on; the returned function ends that."""
        with self._lock:
            self._listeners = [*self._listeners, listener]

        def cancel() -> None:
            with self._lock:
                self._listeners = [other for other in self._listeners if other is not listener]

        return cancel

    def publish(self, event: HubEvent) -> None:
        """Hand the event to every listener. A listener that fails is logged and hurts nobody else."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                _log.exception("a listener failed on %s", type(event).__name__)
