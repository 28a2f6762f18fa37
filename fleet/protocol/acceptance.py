"""A device's signed report of its hardware tests (`acc1`): COSE_Sign1 by the identity key, POST /v1/acceptances.

It proves who says it and when, and that nobody changed it; what was measured, the device could still make up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from chain.errors import Malformed
from fleet.protocol.enrolment import NONCE_BYTES

ACCEPTANCE_TAG: Final = "dccn/acceptance/v1"
ACCEPTANCE_PATH: Final = "/v1/acceptances"
MAX_RESULTS: Final = 200
MAX_TEXT: Final = 200
MAX_MS: Final = 2**53
MAX_REPORT_BYTES: Final = 64 * 1024

Outcome = Literal["passed", "failed", "skipped"]
OUTCOMES: Final = ("passed", "failed", "skipped")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Result:
    """One test: `said` is why it failed or was skipped."""

    test: str
    outcome: Outcome
    said: str
    milliseconds: int

    def body(self) -> list[Any]:
        return [self.test, self.outcome, self.said, self.milliseconds]

    @classmethod
    def from_body(cls, body: object) -> Result:
        """Raises Malformed."""
        if not isinstance(body, list) or len(body) != 4 or body[1] not in OUTCOMES:
            raise Malformed("malformed", "a result of acc1 is not [test, outcome, said, milliseconds]")
        return cls(_text(body[0], "test"), body[1], _text(body[2], "reason"), _number(body[3], "duration"))


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One run of the hardware tests on one device; `profile` is empty where no model was named."""

    device: bytes
    profile: str
    level: str
    started_ms: int
    ended_ms: int
    results: tuple[Result, ...]
    nonce: bytes

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many tests had each outcome."""
        return {outcome: sum(each.outcome == outcome for each in self.results) for outcome in OUTCOMES}

    @property
    def is_passed(self) -> bool:
        """Nothing failed, and something passed."""
        return self.counts["failed"] == 0 and self.counts["passed"] > 0

    def body(self) -> list[Any]:
        results = [each.body() for each in self.results]
        return ["acc1", self.device, self.profile, self.level, self.started_ms, self.ended_ms, results, self.nonce]

    @classmethod
    def from_body(cls, body: object) -> Acceptance:
        """Raises Malformed."""
        if not isinstance(body, list) or len(body) != 8 or body[0] != "acc1":
            raise Malformed("malformed", "the body is not acc1 with 7 fields")
        _tag, device, profile, level, started_ms, ended_ms, results, nonce = body
        if not isinstance(device, bytes) or len(device) != 32:
            raise Malformed("malformed", "acc1 device is not 32 bytes")
        if not isinstance(nonce, bytes) or len(nonce) != NONCE_BYTES:
            raise Malformed("malformed", f"acc1 nonce is not {NONCE_BYTES} bytes")
        if not isinstance(results, list) or not 0 < len(results) <= MAX_RESULTS:
            raise Malformed("malformed", f"acc1 has not 1 to {MAX_RESULTS} results")
        for name in (profile, level):
            if not isinstance(name, str) or (name and not _NAME.fullmatch(name)):
                raise Malformed("malformed", f"acc1 names {name!r}, which is no profile and no level")
        started, ended = _number(started_ms, "start"), _number(ended_ms, "end")
        if ended < started:
            raise Malformed("malformed", "acc1 ended before it started")
        return cls(device, profile, level, started, ended, tuple(Result.from_body(each) for each in results), nonce)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Malformed("malformed", f"acc1 {what} is not a text of at most {MAX_TEXT} characters")
    return value


def _number(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_MS:
        raise Malformed("malformed", f"acc1 {what} is not a number of milliseconds")
    return value
