"""The CometBFT process: started, watched, started again with growing pauses, and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from chain import lifeline
from chain.errors import Faulty

log = logging.getLogger(__name__)

LOG_MAX_BYTES = 64 * 1024 * 1024
_TAIL_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Pauses double from the first to the longest; a life of `settled_s` begins them anew.

    `early_deaths` lives in a row that did not settle are given up.
    """

    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    settled_s: float = 20.0
    early_deaths: int = 8
    stop_grace_s: float = 10.0


class Supervisor:
    """Keeps one CometBFT running while `run` runs. Everything happens on the event loop's thread.

    `command` is the whole command line; output goes to the end of `log_file`, which is turned over at a start.
    `on_death` is called whenever the process ended by itself.
    """

    def __init__(
        self,
        command: list[str],
        log_file: Path,
        policy: RestartPolicy | None = None,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self._command = command
        self._log_file = log_file
        self._policy = policy or RestartPolicy()
        self._on_death = on_death
        self._process: subprocess.Popen[bytes] | None = None
        self.deaths = 0

    @property
    def pid(self) -> int | None:
        """The running process; None in a pause."""
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Until cancelled, which stops the process in order; raises Faulty when it does not stay alive."""
        clock_s = asyncio.get_running_loop().time
        early, pause_s = 0, self._policy.first_pause_s
        try:
            while True:
                begun_s = clock_s()
                status = await self._live()
                self.deaths += 1
                self._on_death()
                if clock_s() - begun_s >= self._policy.settled_s:
                    early, pause_s = 0, self._policy.first_pause_s
                early += 1
                if early >= self._policy.early_deaths:
                    raise Faulty("internal", f"CometBFT ended {early} times in a row; {self._reason(status)}")
                log.error("CometBFT ended and is started again in %.1f s; %s", pause_s, self._reason(status))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._policy.longest_pause_s)
        finally:
            await self._stop()

    async def _live(self) -> int:
        """One life of the process, from its start to its exit status."""
        with _appending(self._log_file) as output:
            self._process = lifeline.spawn(self._command, stdout=output, stderr=output)
        log.info("CometBFT runs as process %d, its log is %s", self._process.pid, self._log_file)
        await _ended(self._process)
        status = self._process.wait()
        self._process = None
        return status

    async def _stop(self) -> None:
        """Asks it to end and waits; the application still answers in the meantime."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_ended(process), self._policy.stop_grace_s)
        lifeline.stop(process, 0)

    def _reason(self, status: int) -> str:
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return f"{how}, its last words: {last_line(self._log_file) or 'none'} (see {self._log_file})"


def last_line(path: Path) -> str:
    """The last line of a log, at most 300 characters; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return lines[-1].strip()[:300] if lines else ""


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Returns when the process has ended; its status can be read without waiting then."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(process.pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _appending(path: Path) -> contextlib.AbstractContextManager[IO[bytes]]:
    """The log, opened at its end; one that has become too large is kept as `.1` and begun anew."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_MAX_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")
