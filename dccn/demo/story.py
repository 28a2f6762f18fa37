"""The demo as a person reads it: one line per thing that happened."""

from __future__ import annotations

from appliance.agent.events import EVENTS, sentence
from dccn.demo.children import Event

TOLD_RECORDS = 10
QUIET = frozenset({"ready", "agent_started"})
"""Events that the demo itself has already told."""


class Story:
    """Turns events into lines with the seconds since the start.

    `first_reward_s` is when the machine had proof of its first pay, None before.
    """

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self.first_reward_s: float | None = None
        self._next_told_seq = 0

    def line(self, event: Event, now_s: float) -> str | None:
        """The line for an event, or None where there is nothing to tell; both times count the same clock."""
        name = str(event.get("event"))
        if name in QUIET or name not in EVENTS:
            return None
        if name == "record_accepted" and not self._is_news(event):
            return None
        told = sentence(name, event)
        if name == "reward_verified" and self.first_reward_s is None:
            self.first_reward_s = now_s - self._started_s
            told += f": the first reward, verified by this machine {self.first_reward_s:.1f} s after the start"
        return self.tell(str(event["part"]), told, now_s)

    def _is_news(self, event: Event) -> bool:
        """A record a second would drown everything else: the first receipt counts, then every tenth record."""
        seq = event.get("seq")
        if not isinstance(seq, int) or seq < self._next_told_seq:
            return False
        self._next_told_seq = seq - seq % TOLD_RECORDS + TOLD_RECORDS
        return True

    def tell(self, part: str, sentence: str, now_s: float) -> str:
        return f"{now_s - self._started_s:7.1f} s  {part:<6} {sentence}"
