"""Signs of life for systemd (sd_notify): a process that hangs is ended and started again by its unit's WatchdogSec."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

SIGNS_PER_SPAN: Final = 3
"""A sign of life that is lost or late is not the end yet."""


class Watchdog:
    """Speaks to the socket that systemd names, and to nobody where it names none.

    `interval_s`: how often a sign of life is due; None where nobody watches.
    """

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        span_us = environment.get("WATCHDOG_USEC", "")
        watched = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        is_due = bool(self._address) and watched and span_us.isascii() and span_us.isdigit() and int(span_us) > 0
        self.interval_s = int(span_us) / 1_000_000 / SIGNS_PER_SPAN if is_due else None

    def ready(self) -> None:
        self._send("READY=1")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.connect(name)
                line.sendall(message.encode())
        except OSError:
            return  # nobody listens: then nobody ends this process either


class WatchedStop(threading.Event):
    """The event that ends the agent, whose waits in the main thread are its signs of life.

    `is_well` is asked before each sign: once components run, it says whether they still get anywhere.
    """

    def __init__(self, watchdog: Watchdog) -> None:
        super().__init__()
        self.is_well: Callable[[], bool] = lambda: True
        self._watchdog = watchdog

    def wait(self, timeout: float | None = None) -> bool:
        interval_s = self._watchdog.interval_s
        if interval_s is None or threading.current_thread() is not threading.main_thread():
            return super().wait(timeout)
        end_s = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            if self.is_well():
                self._watchdog.alive()
            left_s = interval_s if end_s is None else min(interval_s, end_s - time.monotonic())
            if left_s <= 0:
                return False
            super().wait(left_s)
        return True


def of_this_process() -> Watchdog:
    return Watchdog(os.environ, os.getpid())
