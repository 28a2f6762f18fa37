"""Five tries a minute: what keeps a short code from being guessed."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock
from typing import Final

from chain.errors import Refused

MAX_KEYS: Final = 10_000
_WINDOW_MS: Final = 60_000


class Attempts:
    """Counts tries per key (an address, an account) in a sliding minute. Thread-safe, bounded."""

    def __init__(self, per_minute: int, now_ms: Callable[[], int]) -> None:
        self._per_minute = per_minute
        self._now_ms = now_ms
        self._tries: OrderedDict[str, deque[int]] = OrderedDict()
        self._lock = Lock()

    def note(self, key: str) -> None:
        """Count one try. Raises Refused(rate_limited) when it is one too many; refused tries do not count."""
        now = self._now_ms()
        with self._lock:
            tries = self._tries.setdefault(key, deque())
            self._tries.move_to_end(key)
            while tries and tries[0] <= now - _WINDOW_MS:
                tries.popleft()
            if len(tries) >= self._per_minute:
                wait_s = (tries[0] + _WINDOW_MS - now) // 1000 + 1
                raise Refused("rate_limited", f"more than {self._per_minute} tries in a minute; wait {wait_s} s")
            tries.append(now)
            while len(self._tries) > MAX_KEYS:
                self._tries.popitem(last=False)

    def forgive(self, key: str) -> None:
        """A try that succeeded opens the way again."""
        with self._lock:
            self._tries.pop(key, None)
