"""When the owner lets the machine start again: a span of the day, in the machine's own time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chain.errors import Malformed

_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """From `begin` to `end`, minutes of the day, perhaps over midnight; equal ones are the whole day."""

    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """`02:00-05:00`. Raises Malformed `usage`."""
        found = _SPAN.fullmatch(text)
        if found is None:
            raise Malformed("usage", f"a window is HH:MM-HH:MM, such as 02:00-05:00, not {text[:80]!r}")
        hours = [int(part) for part in found.groups()]
        return cls(hours[0] * 60 + hours[1], hours[2] * 60 + hours[3])

    def wait(self, now: datetime) -> timedelta:
        """How long until it is open; zero while it is."""
        minute = now.hour * 60 + now.minute
        length = (self.end - self.begin) % (24 * 60) or 24 * 60
        if (minute - self.begin) % (24 * 60) < length:
            return timedelta(0)
        opens = now.replace(hour=self.begin // 60, minute=self.begin % 60, second=0, microsecond=0)
        return opens - now if opens > now else opens + DAY - now
