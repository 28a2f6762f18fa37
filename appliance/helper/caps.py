"""How often each caller may have each thing done in an hour; kept on disk, so that restarts do not forget it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from appliance.helper.verb import Caller, Verb
from chain import files
from chain.errors import Refused

HOUR_MS: Final = 3_600_000
MAX_FILE_BYTES: Final = 1 << 20


@dataclass(slots=True)
class Caps:
    """`path` holds the times of the last hour, in ms since 1970, by caller and verb."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def take(self, caller: Caller, verb: Verb, now_ms: int) -> None:
        """Count one; Refused `rate_limited`, with `retry_after_s`, when the hour's share is used up.

        Times in the future come from a clock that was set back: they count as now, and end an hour from now.
        """
        with self._lock:
            times = self._read()
            name = f"{caller} {verb.name}"
            mine = [min(each, now_ms) for each in times.get(name, []) if each > now_ms - HOUR_MS]
            if len(mine) >= verb.per_hour:
                error = Refused("rate_limited", f"{verb.name} for {caller} more than {verb.per_hour} times an hour")
                error.retry_after_s = max(1, (min(mine) + HOUR_MS - now_ms) // 1000 + 1)
                raise error
            kept = {key: [each for each in found if each > now_ms - HOUR_MS] for key, found in times.items()}
            kept[name] = [*mine, now_ms]
            files.replace(self.path, msgspec.json.encode({key: found for key, found in kept.items() if found}))

    def _read(self) -> dict[str, list[int]]:
        data = files.read(self.path, MAX_FILE_BYTES)
        try:
            return msgspec.json.decode(data or b"{}", type=dict[str, list[int]])
        except msgspec.MsgspecError:
            return {}
