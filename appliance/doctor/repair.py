"""What a repair is: what it does, whether it interrupts work, and how often it may be tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Limits count for the whole machine, or, with `per_subject`, for each card by itself.

    `repeatable`: as the last step of a ladder it is tried again and again, with growing pauses; another one ends it.
    """

    name: str
    does: str
    interrupts: bool
    per_hour: int
    per_day: int
    per_subject: bool = False
    repeatable: bool = False


class Hands(Protocol):
    """How repairs reach what needs root: the helper's fixed verbs. Raises DccnError when it refuses or fails."""

    def do(self, verb: str, **arguments: Any) -> str:
        """Returns what was done, in one sentence."""

    def uuid(self, card: str) -> str:
        """What NVML calls the card at a PCI address."""
