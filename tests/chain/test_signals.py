"""Signals that set an event: at any moment of a wait, and not for longer than asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from chain.signals import call_on

STORM = """
import signal, threading
from chain.signals import call_on
event = threading.Event()
call_on(event.set, signal.SIGALRM)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
for _ in range(20_000):
    event.wait(0.0001)
    event.clear()
signal.setitimer(signal.ITIMER_REAL, 0)
"""


def test_a_signal_in_the_midst_of_a_wait_hangs_nothing() -> None:
    """With a handler that sets the event itself, this program ends in handlers that wait for each other's lock."""
    assert subprocess.run([sys.executable, "-c", STORM], timeout=60).returncode == 0


def test_each_signal_sets_it_and_the_old_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    event = threading.Event()
    restore = call_on(event.set, signal.SIGUSR1, signal.SIGUSR2)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        os.kill(os.getpid(), number)
        assert event.wait(10)
        event.clear()
    restore()
    assert signal.getsignal(signal.SIGUSR1) == before


def test_outside_the_main_thread_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    thread = threading.Thread(target=lambda: call_on(threading.Event().set, signal.SIGUSR1)())
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGUSR1) == before
