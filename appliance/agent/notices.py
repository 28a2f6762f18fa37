"""What a person at the hub should hear from this machine: the few of its events that ask for a look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from appliance.agent.clock import Clock
from appliance.agent.events import Emit, sentence
from fleet.protocol.messages import Event

Level = Literal["info", "warn", "crit"]
Publish = Callable[[Level, str, Event], object]
"""(level, code, message): sends it towards the hub; without a connection it is not kept, the status file tells it."""

NOTICES: Mapping[str, Level] = {
    "clock_off": "warn",
    "spool_full": "crit",
    "spool_resumed": "info",
    "chain_rolled_back": "crit",
    "command_refused": "warn",
    "pog_failed": "warn",
    "inclusion_failed": "crit",
    "problem_grave": "crit",
    "problem_found": "warn",
    "problem_over": "info",
    "repair_tried": "info",
    "update_installed": "info",
    "update_failed": "warn",
    "decommission_failed": "warn",
    "component_failed": "warn",
    "update_given_up": "crit",
    "system_degraded": "crit",
    "system_kept": "info",
}
"""Which events go up on the topic `event/{level}/{code}`, under their own name as the code."""


class Notices:
    """An `Emit` that passes every event on and sends up those of `NOTICES`, at most one of a kind per `quiet_ms`."""

    def __init__(self, emit: Emit, publish: Publish, clock: Clock, quiet_ms: int = 60_000) -> None:
        self._emit = emit
        self._publish = publish
        self._clock = clock
        self._quiet_ms = quiet_ms
        self._last_ms: dict[str, int] = {}

    def __call__(self, event: str, /, **fields: object) -> None:
        self._emit(event, **fields)
        level = NOTICES.get(event)
        if level is None:
            return
        at_ms = self._clock.now_ms()
        if at_ms - self._last_ms.get(event, -self._quiet_ms) < self._quiet_ms:
            return  # a fault that repeats every second says nothing new
        self._last_ms[event] = at_ms
        self._publish(level, event, Event(at_ms=at_ms, text=sentence(event, fields)))
