"""The agent's time: the hub's signed time carried forward, so that a machine whose clock is an hour off still works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from appliance.agent.files import read_json, write_json

TOLERANCE_MS = 2_000
"""Below this the machine's own clock is taken as right: what is measured then is the network's delay."""
STEP_MS = 1_000
"""A wall clock that moved this much further than the boot clock was set by somebody, it did not drift."""


class Clock(Protocol):
    """What components may know about time."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, as corrected by the hub."""

    def monotonic_s(self) -> float:
        """Seconds that only go forward, through suspend too."""


class HubClock:
    """The machine's wall clock plus an offset measured against the hub's signed answers.

    The offset belongs to one setting of the wall clock: when that is set (ntpd, an owner) the offset moves the other
    way by the same amount, so that the time in records neither jumps nor goes back. `is_measured` says whether this
    process has heard the hub; until then the offset is the one of the last time.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        boot_ms: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000,
    ) -> None:
        self._path = path
        self._wall_ms = wall_ms
        self._boot_ms = boot_ms
        self._lock = threading.Lock()
        self._difference = wall_ms() - boot_ms()
        self._offset_ms = _stored_offset(path)
        self._last_ms = 0
        self.is_measured = False

    @property
    def offset_ms(self) -> int:
        """What is added to the wall clock; 0 when that is right. Positive: this machine is behind the hub."""
        self._follow_steps()
        return self._offset_ms

    @property
    def is_off(self) -> bool:
        return abs(self.offset_ms) > TOLERANCE_MS

    def now_ms(self) -> int:
        """Never smaller than an earlier answer while the process lives."""
        self._follow_steps()
        with self._lock:
            self._last_ms = max(self._last_ms, self._wall_ms() + self._offset_ms)
            return self._last_ms

    def monotonic_s(self) -> float:
        return self._boot_ms() / 1000

    def learn(self, hub_ms: int, *, asked_ms: int, answered_ms: int) -> bool:
        """Take the hub's time; `asked_ms` and `answered_ms` are `boot_ms` around the exchange. True when it changed."""
        middle = (asked_ms + answered_ms) // 2
        wall_then = self._wall_ms() - (self._boot_ms() - middle)
        offset = hub_ms - wall_then
        if abs(offset) <= max(TOLERANCE_MS, answered_ms - asked_ms):
            offset = 0
        with self._lock:
            changed = abs(offset - self._offset_ms) > TOLERANCE_MS
            self._offset_ms = offset
            self._difference = self._wall_ms() - self._boot_ms()
            self.is_measured = True
            if changed:
                self._last_ms = 0  # the earlier answers were wrong: there is nothing to stay ahead of
        if changed and self._path is not None:
            write_json(self._path, {"offset_ms": offset})
        return changed

    def boot_ms(self) -> int:
        """The clock to hold around an exchange with the hub."""
        return self._boot_ms()

    def _follow_steps(self) -> None:
        with self._lock:
            difference = self._wall_ms() - self._boot_ms()
            if abs(difference - self._difference) > STEP_MS:
                self._offset_ms -= difference - self._difference
                self._difference = difference


def _stored_offset(path: Path | None) -> int:
    if path is None or not path.exists():
        return 0
    document = read_json(path)
    offset = document.get("offset_ms") if isinstance(document, dict) else None
    return offset if isinstance(offset, int) else 0
