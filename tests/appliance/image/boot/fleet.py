"""A hub and a chain in a network namespace of their own, at an address that an emulated machine reaches."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chain.lifeline import spawn, stop
from chain.node import home as node_home
from fleet.hub.identity.keyfiles import open_account
from fleet.protocol.enrolment import Token
from tools.browser import CHROMIUM, FLAGS

ADDRESS = "198.51.100.1"  # of the documentation's networks (RFC 5737)
RECORD_INTERVAL_MS = 5_000


class Fleet:
    """Use as a context manager. `within` is what a command begins with to run in the namespace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.namespace = f"dccn-test-{os.getpid()}"
        self.within = ("ip", "netns", "exec", self.namespace)
        self.hub_url = self.page_url = self._secret = ""
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Fleet:
        _ip("netns", "add", self.namespace)
        try:
            for command in (("link", "set", "lo", "up"), ("addr", "add", f"{ADDRESS}/32", "dev", "lo")):
                subprocess.run([*self.within, "ip", *command], check=True)
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            stop(process, 10)
        self._processes.clear()
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("netns", "delete", self.namespace)

    @property
    def ca_pin(self) -> str:
        return self._new_token().pin.hex()

    def claim(self, code: str) -> dict[str, Any]:
        """As the owner does on the hub's page."""
        claimed: dict[str, Any] = self._ask("POST", "/api/claims", {"code": code})
        return claimed

    def give_out(self, releases: Path) -> None:
        """Put a release folder where the hub's machines fetch from, and tell them to look."""
        shutil.copytree(releases, self.folder / "hub/releases", dirs_exist_ok=True)
        self._ask("POST", "/api/updates", {})

    def decommission(self, device: str) -> None:
        """End this machine's life in the fleet, as the admin does."""
        self._ask("POST", f"/api/devices/{device}/decommission", {})

    def device(self, device: str) -> dict[str, Any]:
        """What the hub shows of a machine."""
        found: dict[str, Any] = self._ask("GET", f"/api/devices/{device}")
        return found

    def problems(self, device: str) -> list[dict[str, Any]]:
        """What the machine's doctor told of it."""
        found: list[dict[str, Any]] = self._ask("GET", f"/api/devices/{device}/problems")
        return found

    def acceptances(self, device: str) -> list[dict[str, Any]]:
        """The reports of its hardware tests."""
        found: list[dict[str, Any]] = self._ask("GET", f"/api/devices/{device}/acceptances")
        return found

    def notices(self) -> list[dict[str, Any]]:
        """What devices told, the newest first."""
        return [each["event"] for each in self._ask("GET", "/api/events?limit=500") if "level" in each["event"]]

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Nothing answers at the hub's address."""
        change = [*self.within, "ip", "addr", "{}", f"{ADDRESS}/32", "dev", "lo"]
        subprocess.run([word.format("del") for word in change], check=True)
        try:
            yield
        finally:
            subprocess.run([word.format("add") for word in change], check=True)

    def page(self, port: int) -> str:
        """What a machine in here shows of itself to its local network; empty while it does not answer."""
        program = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read().decode())"
        command = [*self.within, sys.executable, "-c", program, f"http://127.0.0.1:{port}/"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout

    def page_picture(self, port: int, path: Path) -> None:
        """The same as a browser in that network shows it, as PNG."""
        window = ("--window-size=900,1000", "--hide-scrollbars", f"--screenshot={path}")
        command = [*self.within, CHROMIUM, *FLAGS, *window, f"http://127.0.0.1:{port}/"]
        subprocess.run(command, capture_output=True, check=True, timeout=120)

    def _start(self) -> None:
        node, hub = self.folder / "node", self.folder / "hub"
        hub.mkdir(parents=True)
        node_home.init_demo(node, open_account(hub).address, time.time_ns())
        rpc = self._run("node", "run", "--home", str(node), "--listen", ADDRESS)["rpc"]
        interval = ("--record-interval-ms", str(RECORD_INTERVAL_MS))
        where = ("--home", str(hub), "--fleet", "bench", "--listen", ADDRESS, "--node", rpc)
        ready = self._run("hub", "run", *where, *interval, "--pog-profile", "test")
        self.hub_url, self.page_url, self._secret = ready["devices"], ready["page"], ready["admin_secret"]

    def _run(self, *arguments: str) -> dict[str, Any]:
        """Starts a part and returns what it says when it is ready."""
        log = (self.folder / f"{arguments[0]}.log").open("ab")
        command = [*self.within, sys.executable, "-m", "dccn", *arguments, "--json"]
        process = spawn(command, stdout=subprocess.PIPE, stderr=log)
        self._processes.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event.get("event") == "ready":
                return dict(event)
        raise AssertionError((self.folder / f"{arguments[0]}.log").read_text())

    def _new_token(self) -> Token:
        command = [sys.executable, "-m", "dccn", "hub", "token", "--home", str(self.folder / "hub"), "--fleet", "bench"]
        made = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True, timeout=60)
        return Token.parse(json.loads(made.stdout)["token"])

    def _ask(self, method: str, path: str, document: dict[str, str] | None = None) -> Any:
        """The page stays on the namespace's loopback, so the question is asked in there."""
        program = (
            "import sys, urllib.request as u; "
            "r = u.Request(sys.argv[1], sys.argv[3].encode() or None, "
            "{'Authorization': 'Bearer ' + sys.argv[4], 'Content-Type': 'application/json'}, method=sys.argv[2]); "
            "print(u.urlopen(r, timeout=20).read().decode())"
        )
        body = "" if document is None else json.dumps(document)
        command = [*self.within, sys.executable, "-c", program, self.page_url + path, method, body, self._secret]
        asked = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(asked.stdout)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
