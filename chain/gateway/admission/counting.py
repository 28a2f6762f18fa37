"""What is counted per peer, in memory: requests against a rate, and faults against a score that fades.

Both forget the peers that were quiet longest when there are too many; the clock is given.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

PEERS_MAX: Final = 10_000
_MINUTE_S: Final = 60.0

V = TypeVar("V")


class _Recent(Generic[V]):
    """The values of the peers that came last."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, V] = OrderedDict()

    def get(self, name: str) -> V | None:
        return self._values.get(name)

    def put(self, name: str, value: V) -> None:
        self._values[name] = value
        self._values.move_to_end(name)
        while len(self._values) > PEERS_MAX:
            self._values.popitem(last=False)

    def drop(self, name: str) -> None:
        self._values.pop(name, None)

    def __len__(self) -> int:
        return len(self._values)


class Rates:
    """Token buckets: one fills by its rate and holds a minute's worth."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._buckets: _Recent[tuple[float, float]] = _Recent()  # tokens, and when there were so many

    def take(self, name: str, per_minute: int, cost: int = 1) -> float:
        """0 if the peer may, and its tokens are taken; else the seconds after which it might, and none are."""
        now = self._now_s()
        tokens, since = self._buckets.get(name) or (float(per_minute), now)
        tokens = min(float(per_minute), tokens + (now - since) * per_minute / _MINUTE_S)
        wanted = min(cost, per_minute)  # what is more than a whole minute's worth waits for a full bucket
        missing = wanted - tokens
        self._buckets.put(name, (tokens if missing > 0 else tokens - cost, now))
        return max(0.0, missing) * _MINUTE_S / per_minute


class Scores:
    """Points against peers; they halve every `half_life_s`."""

    def __init__(self, half_life_s: float, now_s: Callable[[], float]) -> None:
        self._half_life_s = half_life_s
        self._now_s = now_s
        self._scores: _Recent[tuple[float, float]] = _Recent()

    def add(self, name: str, points: float) -> float:
        """The peer's score with these points."""
        score = self.of(name) + points
        self._scores.put(name, (score, self._now_s()))
        return score

    def of(self, name: str) -> float:
        score, since = self._scores.get(name) or (0.0, 0.0)
        return float(score * 0.5 ** ((self._now_s() - since) / self._half_life_s)) if score else 0.0

    def forget(self, name: str) -> None:
        self._scores.drop(name)
