"""The demo's network under a hand that kills its parts, and waits for what they say."""

from __future__ import annotations

import contextlib
import json
import queue
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from whole_processes import Event, wait_until

from dccn.demo.network import Network, Places, prepare

PARTS = ("hub", "broker", "agent", "prover", "node")


def choose_ports(places: Places, ports: list[int]) -> None:
    """Give a home's hub and node these four ports, which an undisturbed machine would give them anyway."""
    page, devices, broker, rpc = ports
    prepare(places)
    chosen = json.dumps({"page": page, "devices": devices, "broker": broker})
    (places.hub / "ports.json").write_text(chosen, encoding="ascii")
    settings = places.node / "config" / "config.toml"
    settings.write_text(settings.read_text().replace("port = 26657", f"port = {rpc}"))


class WholeNetwork:
    """A running network. `events` is everything that its parts said, in order."""

    def __init__(self, home: Path, ports: list[int]) -> None:
        self.places = Places(home)
        choose_ports(self.places, ports)
        self.network = Network(self.places, "127.0.0.1")
        self.events: list[Event] = []
        self.restarted: list[str] = []

    def start(self) -> None:
        self.network.start()

    def stop(self) -> None:
        self.network.stop()
        self._take_waiting()

    def pump(self, seconds: float) -> None:
        """Let the network live this long, taking its events and starting again what died, as the demo does."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._live(left)

    def wait_for(self, wanted: Callable[[Event], bool], within_s: float, what: str) -> Event:
        """The first event from now on that is wanted; the network is kept alive meanwhile."""
        deadline, at = time.monotonic() + within_s, len(self.events)
        while True:
            for event in self.events[at:]:
                if wanted(event):
                    return event
            at = len(self.events)
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}; last {self.events[-5:]}"
            self._live(0.2)

    def kill(self, part: str) -> int:
        """kill -9 of the part that lives now; its process id."""
        process = wait_until(lambda: self.process(part), 20, f"{part} runs")
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
        return int(process.pid)

    def process(self, part: str) -> psutil.Process | None:
        """The part's process, None while it is not there. Starts again what died, since parts depend on each other."""
        if part in self.network.children.parts:
            self._live(0)
            child = self.network.children.parts[part].process
            return psutil.Process(child.pid) if child is not None and child.poll() is None else None
        parent = self.process({"broker": "hub", "prover": "agent"}[part])
        word = {"broker": "mosquitto", "prover": "appliance.agent.prover"}[part]
        with contextlib.suppress(psutil.Error):
            for child in parent.children(recursive=True) if parent is not None else []:
                words = child.cmdline()
                if words and (words[0].endswith(word) or word in words[1:]):
                    return child
        return None

    def head_seq(self) -> int:
        """The number that the agent's next record takes."""
        with reading(self.places.agent / "spool.sqlite") as database:
            (seq,) = database.execute("SELECT next_seq FROM chain WHERE is_open = 1").fetchone()
        return int(seq)

    def _live(self, patience_s: float) -> None:
        self.restarted += self.network.children.restart_dead()
        with contextlib.suppress(queue.Empty):
            self.events.append(self.network.children.events.get(timeout=max(0.001, min(0.1, patience_s))))
        self._take_waiting()

    def _take_waiting(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self.events.append(self.network.children.events.get_nowait())


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A database of another process, to read."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        yield connection
    finally:
        connection.close()
