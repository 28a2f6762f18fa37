"""What a series of presses means. Pure: times in seconds of any clock that only goes forward."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

RESET_PRESSES: Final = 5
RESET_WITHIN_S: Final = 10.0
SETTLED_S: Final = 3.0
"""After so long without another press a series is over."""


class Meaning(StrEnum):
    """The helper's verb that a series asks for."""

    power_off = "power-off"
    factory_reset = "factory-reset"


@dataclass(slots=True)
class Presses:
    """One press, alone: off. Five within ten seconds: reset. Anything between is a mistake, and nothing happens."""

    _times_s: list[float] = field(default_factory=list)

    def press(self, now_s: float) -> Meaning | None:
        """Take in a press; the reset is asked for with the fifth, not after it."""
        if self._times_s and now_s - self._times_s[-1] >= SETTLED_S:
            self._times_s.clear()
        self._times_s.append(now_s)
        recent = [each for each in self._times_s if now_s - each <= RESET_WITHIN_S]
        if len(recent) < RESET_PRESSES:
            return None
        self._times_s.clear()
        return Meaning.factory_reset

    def wait(self, now_s: float) -> Meaning | None:
        """Time passes; call it at least once a second while a series is open."""
        if not self._times_s or now_s - self._times_s[-1] < SETTLED_S:
            return None
        alone = len(self._times_s) == 1
        self._times_s.clear()
        return Meaning.power_off if alone else None

    @property
    def is_open(self) -> bool:
        return bool(self._times_s)
