"""The shape of a measurement, and the clock it is taken with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Aim = tuple[Literal["<=", ">="], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a figure, the limit or peer measured against it in the same run, and what was aimed at.

    `aim` binds the ratio where there is one, else the figure itself.
    """

    name: str
    figure: float
    unit: str
    against: str = ""
    limit: float | None = None
    aim: Aim | None = None

    @property
    def ratio(self) -> float | None:
        return self.figure / self.limit if self.limit else None

    @property
    def reached(self) -> bool | None:
        if self.aim is None:
            return None
        value = self.ratio if self.ratio is not None else self.figure
        return value <= self.aim[1] if self.aim[0] == "<=" else value >= self.aim[1]


def cpu_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median process CPU time of one call, after one warm-up: steadier than wall time on a shared machine."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def interleaved(ours: Callable[[], object], limit: Callable[[], object], repeats: int = 7) -> tuple[float, float]:
    """Median CPU seconds of two pieces of work taken in turn (A B A B …), so that noise meets both alike."""
    ours(), limit()
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for work, times in zip((ours, limit), taken, strict=True):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
    return statistics.median(taken[0]), statistics.median(taken[1])
