"""What a check says: that something is well, that it is a problem of a registered kind, or that nobody could look."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.doctor.problems import KINDS


class Verdict(StrEnum):
    """`unknown` is what could not be looked at; it neither opens nor heals a problem."""

    well = "well"
    problem = "problem"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind` is a key of `KINDS`; `subject` names the part (a card's PCI address, a disk), or is empty."""

    verdict: Verdict
    said: str
    kind: str | None = None
    subject: str = ""

    def hides(self, kind: str, subject: str) -> bool:
        """Whether this says that a problem of that kind could not be looked for."""
        if self.verdict is not Verdict.unknown:
            return False
        return self.kind in (None, kind) and self.subject in ("", subject)


def well(said: str) -> Finding:
    return Finding(Verdict.well, said)


def unknown(said: str, kind: str | None = None, subject: str = "") -> Finding:
    """What could not be judged; without `kind` and `subject`, nothing of what the check looks at."""
    return Finding(Verdict.unknown, said, kind, subject)


def problem(kind: str, said: str, subject: str = "") -> Finding:
    """A problem of a registered kind; KeyError for any other, which is a fault of the check."""
    KINDS[kind]
    return Finding(Verdict.problem, said, kind, subject)
