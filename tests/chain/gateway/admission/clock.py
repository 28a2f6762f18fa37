"""A clock that stands until the test moves it."""

from __future__ import annotations


class Clock:
    """Seconds."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s
