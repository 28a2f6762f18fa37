"""What a system must show to be kept: only things that lie in this machine, never in its network or its hub.

A lost network or a hub that is away is no fault of a system, and sends none back. One question goes outwards: where the
system before had a line to the broker, and the broker takes connections now, this system must have one too.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.boots.records import Boot
from appliance.boots.small_files import document, names, text
from chain import outward
from chain.errors import Malformed

DATA: Final = Path("var")
FACE: Final = Path("run/dccn-face/status.json")
ENROLMENT: Final = Path("var/lib/dccn-agent/enrolment.json")
OURS: Final = (
    "dccn-", "k3s", "var.mount", "nftables.", "systemd-networkd.", "systemd-resolved.", "systemd-timesyncd.",
    "systemd-journald.", "systemd-udevd.", "systemd-repart.",
)  # fmt: skip
"""Beginnings of the names of units without which the machine does not do its work."""
NODE_NOT_READY: Final = "k3s: the node is not ready"
OWN_UNIT: Final = "dccn-healthy.service"
NVIDIA: Final = "0x10de"
DISPLAY_CLASS: Final = "0x03"
PROGRAM_TIMEOUT_S: Final = 20
BROKER_TIMEOUT_S: Final = 5

Run = Callable[[Sequence[str]], tuple[int, str]]
"""A program's exit status and output; 127 where there is no such program."""


def run_program(argv: Sequence[str]) -> tuple[int, str]:
    """`Run` on this machine, given up after a while, since a check must not hang."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_S, check=False)
    except FileNotFoundError:
        return 127, ""
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout


def broker_answers(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        with outward.connect(host, port, BROKER_TIMEOUT_S):
            return True
    except (OSError, Malformed):
        return False


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine as the checks see it. `before` is the system that an update replaced, if one was recorded."""

    before: Boot | None = None
    root: Path = Path("/")
    run: Run = run_program
    reaches: Callable[[str, int], bool] = broker_answers

    def faults(self) -> list[str]:
        """One sentence for each thing that is missing; none means that this system is healthy."""
        checks = (self._data, self._units, self._agent, self._kubernetes, self._gpus, self._network_cards, self._line)
        return [fault for check in checks for fault in check()]

    def gpus(self) -> int:
        """Graphics cards that the driver drives."""
        return len(names(self.root / "proc/driver/nvidia/gpus"))

    def network_cards(self) -> int:
        """Network cards with a driver; bridges and the like have no device behind them."""
        folder = self.root / "sys/class/net"
        return sum((folder / name / "device").exists() for name in names(folder))

    def hub_is_reached(self) -> bool:
        return bool(self._status().get("connected"))

    def kubernetes_is_starting(self) -> bool:
        """Whether k3s still is at its first start in this boot: after a crash it is not waited for any longer."""
        status, output = self.run(["systemctl", "show", "k3s.service", "--property=SubState,NRestarts"])
        return not status and set(output.split()) == {"SubState=start", "NRestarts=0"}

    def _data(self) -> Iterator[str]:
        path = self.root / DATA
        if not os.path.ismount(path) and self.root == Path("/"):
            yield "data: the partition is not mounted"
        try:
            with contextlib.ExitStack() as undo:
                probe = path / "lib/dccn/.probe"
                undo.callback(lambda: probe.unlink(missing_ok=True))
                with probe.open("wb") as file:
                    file.write(os.urandom(4096))
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            yield f"data: writing fails: {error.strerror}"

    def _units(self) -> Iterator[str]:
        status, output = self.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"])
        if status:
            yield f"units: systemd does not answer ({output.strip()[:100] or status})"
        units = [line.split()[0] for line in output.splitlines() if line.strip()]
        failed = [name for name in units if name.startswith(OURS) and name != OWN_UNIT]
        if failed:
            yield f"units: {', '.join(failed)} failed"

    def _agent(self) -> Iterator[str]:
        status = self._status()
        pid = status.get("pid")
        if not status.get("is_running") or not isinstance(pid, int) or not (self.root / f"proc/{pid}").exists():
            yield "agent: it does not run"
        elif status.get("enrolled") and status.get("spool_records") is None:
            yield "agent: its spool is not open"

    def _kubernetes(self) -> Iterator[str]:
        status, output = self.run(["systemctl", "is-enabled", "k3s.service"])
        if status or not output.startswith("enabled"):
            return
        query = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
        status, output = self.run(["k3s", "kubectl", "get", "nodes", "-o", query])
        if status or "True" not in output.split():
            yield NODE_NOT_READY

    def _gpus(self) -> Iterator[str]:
        """A card that was taken out is not missed; one that is there and not driven is."""
        if self.before is None or not self.before.gpus:
            return
        wanted = min(self.before.gpus, self._graphics_cards())
        if (driven := self.gpus()) < wanted:
            yield f"gpu: {driven} of {wanted} cards work, {self.before.gpus} did before the update"

    def _network_cards(self) -> Iterator[str]:
        before = self.before.network_cards if self.before is not None else None
        if before and self.network_cards() == 0:
            yield f"network: no card has a driver, {before} had before the update"

    def _line(self) -> Iterator[str]:
        if self.before is None or not self.before.hub_reached or self.hub_is_reached():
            return
        host, _, port = str(document(self.root / ENROLMENT).get("broker", "")).rpartition(":")
        if host and port.isdecimal() and self.reaches(host, int(port)):
            yield f"hub: its broker {host}:{port} takes connections, and this system does not get through to it"

    def _graphics_cards(self) -> int:
        folder = self.root / "sys/bus/pci/devices"
        found = 0
        for name in names(folder):
            kind, vendor = (text(folder / name / each) for each in ("class", "vendor"))
            found += kind.startswith(DISPLAY_CLASS) and vendor == NVIDIA
        return found

    def _status(self) -> dict[str, Any]:
        return document(self.root / FACE)
