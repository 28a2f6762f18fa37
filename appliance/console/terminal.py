"""One terminal and what is on it: the Textual console while that runs, else the plain screen.

The console is a process of its own. It is killed when it has drawn nothing for a while, and tried again after a pause
that grows; until then the plain screen stands there, so that a claim code is seen whatever breaks.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.console.screen import CLEAR
from chain.lifeline import spawn, stop

LOOK_EVERY_S: Final = 2.0
SILENT_FOR_S: Final = 60.0
FIRST_PAUSE_S: Final = 10.0
LONGEST_PAUSE_S: Final = 600.0
SETTLED_S: Final = 300.0
RESET: Final = "\x1bc"
COLUMNS, ROWS = 80, 24
GRAPHICS: Final = Path("/sys/class/graphics")


@dataclass(frozen=True, slots=True)
class Terminal:
    """`descriptor` is open for reading and writing; `plain` makes the plain screen's text; `command` is the console.

    The console tells with a byte on its stdout that it lives. While `is_seen` says no, none is started: a machine
    without a screen has better things to do.
    """

    descriptor: int
    plain: Callable[[], str]
    command: tuple[str, ...]
    silent_for_s: float = SILENT_FOR_S
    first_pause_s: float = FIRST_PAUSE_S
    is_seen: Callable[[], bool] = lambda: True

    def run(self, ending: threading.Event) -> None:
        """Until `ending`. Call it from a thread that lives as long as the process."""
        before = self._modes()
        pause_s = self.first_pause_s
        while not ending.is_set():
            if not self.is_seen():
                self._plain(ending, LOOK_EVERY_S)
                continue
            began_s = time.monotonic()
            self._console(ending)
            if before is not None:
                with contextlib.suppress(termios.error):
                    termios.tcsetattr(self.descriptor, termios.TCSANOW, before)
            if time.monotonic() - began_s > SETTLED_S:
                pause_s = self.first_pause_s
            if not ending.is_set():
                self._plain(ending, pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _console(self, ending: threading.Event) -> None:
        """One life of the console."""
        try:
            process = spawn(
                self.command,
                stdin=self.descriptor,
                stdout=subprocess.PIPE,
                stderr=self.descriptor,
                env={**os.environ, **_size(self.descriptor), "TEXTUAL_DISABLE_KITTY_KEY": "1"},
            )
        except OSError:
            return
        assert process.stdout is not None
        heard_s = time.monotonic()
        try:
            while not ending.is_set() and time.monotonic() - heard_s < self.silent_for_s:
                if select.select([process.stdout], [], [], 0.5)[0]:
                    if not os.read(process.stdout.fileno(), 4096):
                        return
                    heard_s = time.monotonic()
        finally:
            stop(process)
            process.stdout.close()

    def _plain(self, ending: threading.Event, for_s: float) -> None:
        self._write(RESET)
        shown, until_s = "", time.monotonic() + for_s
        while time.monotonic() < until_s:
            now = self.plain()
            if now != shown:
                shown = now
                self._write(CLEAR + now.replace("\n", "\r\n"))
            if ending.wait(min(LOOK_EVERY_S, for_s)):
                return

    def _modes(self) -> list[Any] | None:
        try:
            return termios.tcgetattr(self.descriptor)
        except termios.error:
            return None

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self.descriptor, text.encode())


def has_screen(graphics: Path = GRAPHICS) -> bool:
    """Whether the kernel draws its terminals on anything."""
    return any(graphics.glob("fb[0-9]*"))


def console_command(folder: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "appliance.console.app", str(folder))


def _size(descriptor: int) -> dict[str, str]:
    """A serial line does not know its size: then that of the oldest terminals."""
    try:
        size = os.get_terminal_size(descriptor)
    except OSError:
        size = os.terminal_size((0, 0))
    return {"COLUMNS": str(size.columns or COLUMNS), "LINES": str(size.lines or ROWS)}
