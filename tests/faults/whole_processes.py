"""The processes of a home, found from outside; `dccn` commands as children whose lines can be awaited."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

MARK = "DCCN_TEST_HOME"
"""An environment variable that children inherit, so that a process can be told by it whatever its arguments are."""
POLL_S = 0.02
"""Other processes' state can only be asked for."""
PORTS = range(20_000, 32_000)
"""Below the range that the kernel gives to outgoing connections, so that a killed server finds its port free."""

Event = dict[str, Any]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has just now."""
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, k=200):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")


def running_in(home: Path) -> list[psutil.Process]:
    """Every other live process that has the home's path in its command line or its environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = [*process.cmdline(), process.environ().get(MARK, "")]
            if any(str(home) in word for word in words):
                found.append(process)
    return found


def wait_until(holds: Callable[[], Any], within_s: float, what: str) -> Any:
    """The first true answer of `holds`."""
    deadline = time.monotonic() + within_s
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(POLL_S)
    return answer


def shown(processes: list[psutil.Process]) -> list[str]:
    """Command lines for an assertion's message."""
    lines = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            lines.append(f"{process.pid} {' '.join(process.cmdline())}")
    return lines


class Command:
    """`dccn ARGUMENTS…` as a child: stdout line by line, stderr as a whole."""

    def __init__(
        self, *arguments: str | Path, environment: Mapping[str, str] | None = None, prepare: str | None = None
    ) -> None:
        """`prepare`: Python that runs in the child before the command does."""
        program = ["-m", "dccn"] if prepare is None else ["-c", f"{prepare}\nfrom dccn.main import run\nrun()"]
        self.process = subprocess.Popen(
            [sys.executable, *program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.seen: list[str] = []
        self._words = bytearray()
        self._readers = [threading.Thread(target=self._read_out), threading.Thread(target=self._read_err)]
        for reader in self._readers:
            reader.start()

    @property
    def stderr(self) -> str:
        return self._words.decode(errors="replace")

    def event(self, wanted: Callable[[Event], bool], within_s: float = 40.0) -> Event:
        """The first JSON line from now on that is wanted."""
        return next(found for found in self._events(within_s) if wanted(found))

    def named(self, name: str, within_s: float = 40.0) -> Event:
        return self.event(lambda event: event.get("event") == name, within_s)

    def line(self, text: str, within_s: float = 40.0) -> str:
        """The first line from now on that holds this text."""
        return next(line for line in self._next(within_s) if text in line)

    def ended(self, within_s: float = 30.0) -> int:
        """Its exit code, after all that it said was read."""
        code = self.process.wait(within_s)
        for reader in self._readers:
            reader.join(5)
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(5)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _events(self, within_s: float) -> Iterator[Event]:
        for line in self._next(within_s):
            with contextlib.suppress(ValueError):
                document = json.loads(line)
                if isinstance(document, dict):
                    yield document

    def _next(self, within_s: float) -> Iterator[str]:
        deadline = time.monotonic() + within_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"nothing of the kind within {within_s} s; last: {self.seen[-3:]}") from None
            assert line is not None, f"it ended with {self.process.poll()}: {self.stderr[-2000:]}"
            yield line

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            text = line.decode(errors="replace").rstrip("\n")
            self.seen.append(text)
            self._lines.put(text)
        self.process.stdout.close()
        self._lines.put(None)

    def _read_err(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._words += line
        self.process.stderr.close()
