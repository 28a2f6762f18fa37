"""Signs of life: a real agent gives them while it gets somewhere, and none while it hangs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.agent import agent
from appliance.agent.clock import HubClock
from appliance.agent.settings import Settings
from appliance.agent.status import StatusBoard
from appliance.agent.watchdog import Watchdog, WatchedStop

SPAN_S = 1.5


class Systemd:
    """The end of the notification socket that systemd holds."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.environment = {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(int(SPAN_S * 1_000_000))}

    def hear(self, timeout_s: float) -> str | None:
        self.socket.settimeout(timeout_s)
        try:
            return self.socket.recv(4096).decode()
        except TimeoutError:
            return None

    def drain(self) -> None:
        while self.hear(0.05) is not None:
            pass


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(tmp_path)
    yield made
    made.socket.close()


def test_a_running_agent_gives_signs_of_life_and_a_stopped_one_none(systemd: Systemd, tmp_path: Path) -> None:
    """A hang is a process that the kernel does not run: SIGSTOP."""
    settings = Settings(home=tmp_path / "home", hub_url="https://127.0.0.1:9", unattended=True, json=True)
    process = subprocess.Popen(
        agent.command(settings), env={**os.environ, **systemd.environment}, stdout=subprocess.DEVNULL
    )
    try:
        assert systemd.hear(30) == "READY=1"
        assert [systemd.hear(SPAN_S) for _ in range(4)] == ["WATCHDOG=1"] * 4
        process.send_signal(signal.SIGSTOP)
        systemd.drain()
        assert systemd.hear(SPAN_S) is None, "systemd would end it now"
        process.send_signal(signal.SIGCONT)
        assert systemd.hear(SPAN_S) == "WATCHDOG=1"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        said = []
        while (heard := systemd.hear(0.05)) is not None:
            said.append(heard)
        assert said[-1] == "STOPPING=1"
    finally:
        process.kill()
        process.wait()


def test_an_agent_one_of_whose_parts_is_stuck_gives_no_sign_of_life(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.agent.status.STUCK_S", 0.3)
    stuck, stop = threading.Event(), WatchedStop(Watchdog(systemd.environment, os.getpid()))
    board = StatusBoard(tmp_path / "status.json", HubClock(), interval_s=0.05)
    board.ask(lambda: {} if not stuck.is_set() else {"pid": time.sleep(3600)})
    stop.is_well = board.is_moving
    threading.Thread(target=board.run, args=(stop,), daemon=True).start()
    stop.wait(SPAN_S)
    assert systemd.hear(0.1) == "WATCHDOG=1"
    stuck.set()
    stop.wait(SPAN_S / 2)
    systemd.drain()
    stop.wait(2 * SPAN_S)
    assert systemd.hear(0.05) is None


def test_other_threads_that_wait_are_no_sign_of_life(systemd: Systemd) -> None:
    stop = WatchedStop(Watchdog(systemd.environment, os.getpid()))
    thread = threading.Thread(target=stop.wait, args=(2 * SPAN_S,))
    thread.start()
    assert systemd.hear(SPAN_S) is None
    stop.set()
    thread.join(5)


def test_a_wait_ends_when_it_should(systemd: Systemd) -> None:
    stop = WatchedStop(Watchdog(systemd.environment, os.getpid()))
    assert stop.wait(0.01) is False
    threading.Timer(0.1, stop.set).start()
    assert stop.wait() is True
    assert stop.wait(0.01) is True


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "1000000"}, {"NOTIFY_SOCKET": "/x"}, {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"},
     {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "0"},
     {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}],
)  # fmt: skip
def test_where_nobody_watches_nothing_is_due_and_nothing_breaks(environment: dict[str, str]) -> None:
    watchdog = Watchdog(environment, os.getpid())
    assert watchdog.interval_s is None
    watchdog.ready()
    assert WatchedStop(watchdog).wait(0.01) is False
