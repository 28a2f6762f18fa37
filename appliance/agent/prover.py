"""The process that computes: `python -m appliance.agent.prover`, low priority, one JSON line in, one out.

Requests: `{"do": "compute", "challenge_height", "profile", "beacon", "device", "gpu", "until_s"}` and
`{"do": "open", "challenge_height", "open_beacon"}`; byte strings are hex, `until_s` is CLOCK_MONOTONIC, which the agent
shares. Answers: `{"rows", "root", "elapsed_ms"}`,
`{"proof"}`, or `{"code", "message"}`. It keeps a computation's tree until it is opened or two newer ones came, and ends
with its parent: numpy and its memory are here and not in the agent.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from chain.errors import DccnError, Malformed
from chain.proofs.pog.profiles import ROWS_MAX, profile_named
from chain.proofs.pog.prove import Computation, Deadline, compute

KEPT_COMPUTATIONS = 2
NICENESS = 19
MAX_LINE_CHARACTERS = 4_096


class Prover:
    """Answers requests, given a backend and a monotonic clock in seconds."""

    def __init__(self, backend: Any, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._clock = clock
        self._computations: dict[int, Computation] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._answer(request)
        except DccnError as error:
            return {"code": error.code, "message": error.message}
        except (KeyError, TypeError, ValueError) as error:
            return {"code": "malformed", "message": f"the request cannot be read: {error!r}"}

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "compute":
            return self._compute(request)
        if request["do"] == "open":
            return self._open(int(request["challenge_height"]), bytes.fromhex(request["open_beacon"]))
        raise Malformed("malformed", f"the prover cannot do {request['do']!r}")

    def _compute(self, request: dict[str, Any]) -> dict[str, Any]:
        started_s = self._clock()
        done = compute(
            profile_named(request["profile"]),
            bytes.fromhex(request["beacon"]),
            bytes.fromhex(request["device"]),
            request["gpu"],
            ROWS_MAX,
            backend=self._backend,
            deadline=Deadline(float(request["until_s"]), self._clock),
        )
        self._computations[int(request["challenge_height"])] = done
        while len(self._computations) > KEPT_COMPUTATIONS:
            del self._computations[min(self._computations)]
        elapsed_ms = max(1, round((self._clock() - started_s) * 1000))
        return {"rows": done.rows, "root": done.root.hex(), "elapsed_ms": elapsed_ms}

    def _open(self, challenge_height: int, open_beacon: bytes) -> dict[str, Any]:
        computation = self._computations.get(challenge_height)
        if computation is None:
            raise Malformed("pog_malformed", f"nothing was computed for the challenge of height {challenge_height}")
        return {"proof": computation.open(open_beacon).encoded().hex()}


def main() -> int:
    """Serve stdin until it ends."""
    os.nice(NICENESS)
    from chain.proofs.pog.cpu import CpuBackend

    prover = Prover(CpuBackend(), time.monotonic)
    for request in _requests(sys.stdin):
        sys.stdout.write(json.dumps(prover.answer(request)) + "\n")
        sys.stdout.flush()
    return 0


def _requests(stream: TextIO) -> Iterator[dict[str, Any]]:
    while line := stream.readline(MAX_LINE_CHARACTERS):
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        yield request if isinstance(request, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
