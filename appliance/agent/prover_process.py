"""The agent's side of the prover process: started when there is work, asked one thing at a time, ended when idle."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chain.errors import REGISTRY, Refused, Unavailable
from chain.lifeline import spawn

MAX_ANSWER_BYTES = 4 * 1024 * 1024
STOP_TIMEOUT_S = 2.0
READ_BYTES = 65_536
STOP_POLL_S = 0.25
TREE_PARTS = 10
SLACK_S = 10.0
"""How much longer than its budget a computation may take before the process is given up."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What was committed to: `root` over `rows` rows, made in `elapsed_ms`."""

    rows: int
    root: bytes
    elapsed_ms: int


class ProverProcess:
    """One child process. Must be used by one thread: the kernel ends the child when that thread ends."""

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._command = list(command or (sys.executable, "-m", "appliance.agent.prover"))
        self._monotonic_s = monotonic_s
        self._is_stopping = is_stopping
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Bring the child up, if it is not, while its work is still being fetched."""
        self._running()

    def compute(
        self, *, challenge_height: int, profile: str, beacon: bytes, device: bytes, gpu: str, budget_ms: int
    ) -> Computed:
        """As many rows as fit into `budget_ms` from now. Raises Refused (`pog_late`, …), Unavailable if the child died.

        TREE_PARTS of the budget stays for the tree of the rows' hashes.
        """
        rows_ms = budget_ms - budget_ms // TREE_PARTS
        answer = self._ask(
            {
                "do": "compute",
                "challenge_height": challenge_height,
                "profile": profile,
                "beacon": beacon.hex(),
                "device": device.hex(),
                "gpu": gpu,
                "until_s": self._monotonic_s() + rows_ms / 1000,
            },
            budget_ms / 1000 + SLACK_S,
        )
        return Computed(int(answer["rows"]), bytes.fromhex(answer["root"]), int(answer["elapsed_ms"]))

    def open(self, challenge_height: int, open_beacon: bytes) -> bytes:
        """The complete proof's bytes for what was computed at this height."""
        request = {"do": "open", "challenge_height": challenge_height, "open_beacon": open_beacon.hex()}
        return bytes.fromhex(self._ask(request, SLACK_S)["proof"])

    def stop(self) -> None:
        """End the child, if there is one; what it computed is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.close()
            process.wait(timeout=STOP_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        finally:
            process.stdout.close()

    def _ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(self._line(process, timeout_s))
        except (OSError, ValueError) as error:
            self._kill()
            raise Unavailable("unreachable", f"the prover process failed at {request['do']}: {error}") from error
        if "code" in answer:
            code = answer["code"] if answer["code"] in REGISTRY else "malformed"
            raise Refused(code, str(answer.get("message", "")))
        return dict(answer)

    def _line(self, process: subprocess.Popen[bytes], timeout_s: float) -> bytes:
        assert process.stdout is not None
        deadline_s = self._monotonic_s() + timeout_s
        data = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not data.endswith(b"\n"):
                if self._is_stopping():
                    raise InterruptedError("the agent stops")
                left_s = deadline_s - self._monotonic_s()
                if left_s <= 0:
                    raise TimeoutError(f"no answer within {timeout_s:.0f} s")
                if not selector.select(min(left_s, STOP_POLL_S)):
                    continue
                chunk = os.read(process.stdout.fileno(), READ_BYTES)
                if not chunk or len(data) > MAX_ANSWER_BYTES:
                    raise OSError("it ended" if not chunk else "its answer is too long")
                data += chunk
        return bytes(data)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._kill()
        self._process = spawn(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self._process

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self.stop()
