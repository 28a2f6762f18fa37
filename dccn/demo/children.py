"""The demo's parts as child processes: started in order, heard line by line, started again when they die."""

from __future__ import annotations

import errno
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain.errors import REGISTRY, DccnError, Faulty, Malformed, Unavailable
from chain.lifeline import spawn, stop

READY_WITHIN_S = 60.0
RESTARTS_AT_MOST = 20
RESTART_DELAY_S = 0.5
LINES_WAITING_AT_MOST = 10_000
LAST_WORDS_S = 5.0
BY_EXIT_CODE: dict[int, type[DccnError]] = {Malformed.exit_code: Malformed, Unavailable.exit_code: Unavailable}
"""A part's failure to start is the whole's, with the same exit code."""

Event = dict[str, Any]


@dataclass(slots=True)
class Child:
    """One part: `dccn ARGV… --json`, whose stdout is one JSON event per line and whose stderr is its log."""

    name: str
    arguments: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0


class Children:
    """Starts and keeps the parts; every event of every part comes out of `events`, with its part under "part".

    Use it from the main thread only: the kernel ties a child's life to the thread that started it.
    """

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.parts: dict[str, Child] = {}
        self.events: queue.Queue[Event] = queue.Queue(LINES_WAITING_AT_MOST)

    def start(self, name: str, *arguments: str, ready: str = "ready") -> Event:
        """Start a part and wait for its event `ready`; returns that event. Raises what the part said it died of."""
        child = self.parts[name] = Child(name, arguments, self.logs / f"{name}.log")
        self._launch(child)
        return self._wait_until(ready, child)

    def restart_dead(self) -> list[str]:
        """Start every part again that has died; returns their names. Faulty when one keeps dying."""
        dead = [child for child in self.parts.values() if child.process and child.process.poll() is not None]
        for child in dead:
            if child.restarts >= RESTARTS_AT_MOST:
                raise Faulty("check_failed", f"{child.name} died {child.restarts} times; its log is {child.log}")
            child.restarts += 1
            time.sleep(RESTART_DELAY_S)
            self._launch(child)
        return [child.name for child in dead]

    def stop(self) -> None:
        """Stop the parts, the one started last first."""
        for child in reversed(self.parts.values()):
            if child.process:
                stop(child.process)

    def _launch(self, child: Child) -> None:
        command = [sys.executable, "-m", "dccn", *child.arguments, "--json"]
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            with child.log.open("ab") as log:
                child.process = spawn(command, stdout=subprocess.PIPE, stderr=log)
        except OSError as error:
            raise unusable(error, f"writing the log {child.log}") from error
        threading.Thread(target=self._listen, args=(child.name, child.process), daemon=True).start()

    def _listen(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                self.events.put({**event, "part": name})

    def _wait_until(self, ready: str, child: Child) -> Event:
        deadline = time.monotonic() + READY_WITHIN_S
        held: list[Event] = []
        assert child.process is not None
        while time.monotonic() < deadline:
            try:
                event = self.events.get(timeout=0.05)
            except queue.Empty:
                if child.process.poll() is not None and self.events.empty():
                    break
                continue
            if event["part"] == child.name and event.get("event") == ready:
                self._put_back(held)
                return event
            if event["part"] == child.name and event.get("ok") is False and event.get("code") in REGISTRY:
                kind = BY_EXIT_CODE.get(child.process.wait(LAST_WORDS_S), Faulty)
                raise kind(str(event["code"]), f"starting {child.name}: {event.get('error')}")
            held.append(event)
        raise Faulty("check_failed", f"starting {child.name}: it did not become ready; its log is {child.log}")

    def _put_back(self, held: list[Event]) -> None:
        for event in held:
            self.events.put(event)


def unusable(error: OSError, attempted: str) -> Faulty:
    """The one sentence for a data directory that does not take what has to be written."""
    code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "home_invalid"
    return Faulty(code, f"{attempted}: {error.strerror or error}")
