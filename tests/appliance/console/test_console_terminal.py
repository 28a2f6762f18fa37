"""A real terminal (a pty) and the real console in it; and the plain screen when the console breaks."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.console.terminal import Terminal, console_command, has_screen

CLAIM = {"code": "N7DK-5929", "hub_url": "https://hub.example:8443"}


class Screen:
    """The other side of the terminal: collects what is written to it, types on it."""

    def __init__(self) -> None:
        self.master, self.terminal = pty.openpty()
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.seen = b""

    def until(self, wanted: str, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"{wanted!r} was never seen in {self.text[-3000:]!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                self.seen += os.read(self.master, 1 << 16)

    @property
    def text(self) -> str:
        """What was written, without the sequences that steer a terminal."""
        return re.sub(r"\x1b(\[[0-9;?>=<$]*[a-zA-Z]|[()].|.)", "", self.seen.decode("utf-8", "replace"))

    def press(self, keys: bytes) -> None:
        self.seen = b""
        os.write(self.master, keys)


@contextmanager
def running(screen: Screen, command: tuple[str, ...], **settings: Any) -> Iterator[None]:
    """The terminal's loop in a thread, which the console's process dies with."""
    ending = threading.Event()
    made = Terminal(screen.terminal, lambda: "This is the plain screen.", command, **settings)
    thread = threading.Thread(target=made.run, args=(ending,))
    thread.start()
    try:
        yield
    finally:
        ending.set()
        while thread.is_alive():  # a terminal that nobody reads would hold the console up
            if select.select([screen.master], [], [], 0.1)[0]:
                os.read(screen.master, 1 << 16)
        os.close(screen.master)
        os.close(screen.terminal)


@pytest.fixture
def face(tmp_path: Path) -> Path:
    (tmp_path / "status.json").write_text(json.dumps({"enrolled": False, "hub_url": CLAIM["hub_url"]}))
    (tmp_path / "claim.json").write_text(json.dumps(CLAIM))
    return tmp_path


def test_the_console_runs_on_a_terminal_of_80_by_24_and_obeys_keys(face: Path) -> None:
    screen = Screen()
    with running(screen, console_command(face)):
        screen.until("This machine waits for its owner.")
        screen.press(b"3")
        screen.until("N  7  D  K  -  5  9  2  9")
        screen.press(b"\x03\x1a\x1c\x11")
        screen.press(b"4")
        screen.until("gateway")


def test_a_console_that_does_not_start_leaves_the_plain_screen_and_is_tried_again(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    screen = Screen()
    program = f"open({str(starts)!r}, 'a').write('x'); raise SystemExit('broken')"
    with running(screen, (sys.executable, "-c", program), first_pause_s=0.1):
        screen.until("This is the plain screen.")
        deadline = time.monotonic() + 60
        while len(starts.read_text()) < 3:
            screen.press(b"")
            screen.until("This is the plain screen.")
            assert time.monotonic() < deadline


def test_a_machine_without_a_screen_starts_no_console_until_it_has_one(tmp_path: Path) -> None:
    assert not has_screen(tmp_path / "none")
    (tmp_path / "fbcon").mkdir()
    started, screen = tmp_path / "started", Screen()
    command = (sys.executable, "-c", f"open({str(started)!r}, 'w')")
    with running(screen, command, is_seen=lambda: has_screen(tmp_path)):
        screen.until("This is the plain screen.")
        time.sleep(0.3)
        assert not started.exists()
        (tmp_path / "fb0").mkdir()
        deadline = time.monotonic() + 30
        while not started.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_console_that_hangs_is_ended(tmp_path: Path) -> None:
    screen = Screen()
    program = "import sys, time; print('drawn', file=sys.stderr, flush=True); time.sleep(600)"
    with running(screen, (sys.executable, "-c", program), silent_for_s=1.0):
        screen.until("drawn")
        screen.until("This is the plain screen.")


def test_a_console_that_is_killed_comes_back(face: Path) -> None:
    screen = Screen()
    keeps_pid = f"import os, runpy, sys; open({str(face / 'pid')!r}, 'w').write(str(os.getpid())); "
    program = keeps_pid + "sys.argv = sys.argv[1:]; runpy.run_module('appliance.console.app', run_name='__main__')"
    with running(screen, (sys.executable, "-c", program, "app", str(face)), first_pause_s=0.2):
        screen.until("This machine waits for its owner.")
        os.kill(int((face / "pid").read_text()), 9)
        screen.seen = b""
        screen.until("This is the plain screen.")
        screen.seen = b""
        screen.until("This machine waits for its owner.")


def test_a_terminal_that_is_none_does_not_stop_the_rest() -> None:
    ending = threading.Event()
    with Path("/dev/null").open("r+b") as nothing:
        made = Terminal(nothing.fileno(), lambda: "x", (sys.executable, "-c", "pass"), first_pause_s=0.05)
        thread = threading.Thread(target=made.run, args=(ending,))
        thread.start()
        time.sleep(0.5)
        ending.set()
        thread.join(30)
        assert not thread.is_alive()
