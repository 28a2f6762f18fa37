"""The judgement of a boot: begun, looked at until it is healthy or its time is up, recorded."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from appliance.agent.updates import boot_entries
from appliance.boots import records
from appliance.boots.checks import NODE_NOT_READY, Machine
from appliance.boots.fallback import find
from appliance.boots.loader import Loader
from appliance.boots.panics import last_panic
from appliance.boots.records import Boot, Records
from appliance.boots.small_files import text
from chain.errors import DccnError

DEADLINE_S: Final = 240.0
STARTING_S: Final = 900.0
"""As long as nothing is wrong but that k3s still starts: it unpacks its images first, minutes on a slow disk."""
SETTLED_S: Final = 5.0
"""All checks must hold for this long: a service that starts and falls over again is not up."""
LOOK_EVERY_S: Final = 1.0
LAST_MESSAGES: Final = 200
LOGS_KEPT: Final = 5


@dataclass(slots=True)
class Assessment:
    """One boot of the machine below `root`; `sleep` and `monotonic_s` are time, for tests."""

    root: Path = Path("/")
    loader: Loader = field(default_factory=Loader)
    machine: Machine = field(default_factory=Machine)
    deadline_s: float = DEADLINE_S
    sleep: Callable[[float], None] = time.sleep
    monotonic_s: Callable[[], float] = time.monotonic
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000

    @property
    def file(self) -> Path:
        return self.root / records.FILE

    def begin(self) -> Records:
        """Record that this boot came as far as its data partition, and whether a newer system was given up."""
        found = records.load(self.file)
        entry = self.loader.counted() or self.loader.selected()
        boot = Boot(
            boot=self._boot_id(),
            version=self._version(entry),
            slot=text(self.root / "run/dccn/slot") or None,
            entry=entry,
            assessed=self.loader.is_assessed(),
            begun_ms=self.now_ms(),
        )
        panic = last_panic(self.root, self.now_ms())
        fallback = find(boot.version, self.loader.entries(), found.boots, self.now_ms(), panic)
        known = found.fallback
        if fallback is not None and known is not None and known.version == fallback.version:
            fallback.since_ms = known.since_ms
        found.fallback = fallback
        found.begin(boot)
        self._save(found)
        return found

    def judge(self) -> Boot:
        """Look until all is well for a while or the time is up; the record of this boot with its outcome.

        The data partition may be what is wrong: then the outcome is only said, not stored.
        """
        found = records.load(self.file)
        boot = found.this(self._boot_id())
        if boot is None:
            boot = self.begin().boots[-1]
            found = records.load(self.file)
            found.begin(boot)
        self.machine = _against(self.machine, found.before(boot.version) if boot.assessed else None)
        boot.reasons = self._watch()
        boot.outcome = "unhealthy" if boot.reasons else "healthy"
        boot.decided_ms = self.now_ms()
        boot.gpus, boot.network_cards = self.machine.gpus(), self.machine.network_cards()
        boot.hub_reached = self.machine.hub_is_reached()
        if boot.reasons:
            boot.log = self._keep_messages(boot)
        found.boots = [boot if each.boot == boot.boot else each for each in found.boots]
        self._save(found)
        return boot

    def _watch(self) -> list[str]:
        begun = self.monotonic_s()
        well_since: float | None = None
        while True:
            faults, now = self.machine.faults(), self.monotonic_s()
            well_since = None if faults else now if well_since is None else well_since
            if well_since is not None and now - well_since >= SETTLED_S:
                return []
            if faults and now - begun >= self._deadline_s(faults):
                return faults
            self.sleep(LOOK_EVERY_S)

    def _deadline_s(self, faults: list[str]) -> float:
        if faults == [NODE_NOT_READY] and self.machine.kubernetes_is_starting():
            return max(self.deadline_s, STARTING_S)
        return self.deadline_s

    def _keep_messages(self, boot: Boot) -> str | None:
        """The journal's last lines, beside the record: the journal itself may be cut off by what is wrong."""
        folder = self.file.parent / "boots"
        path = folder / f"{boot.begun_ms}-{boot.version}.log"
        status, messages = self.machine.run(["journalctl", "--boot", "--no-pager", "--lines", str(LAST_MESSAGES)])
        if status:
            return None
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_text(messages, "utf-8", "replace")
            for old in sorted(folder.glob("*.log"))[:-LOGS_KEPT]:
                old.unlink(missing_ok=True)
            return str(path)
        return None

    def _save(self, found: Records) -> None:
        with contextlib.suppress(OSError, DccnError):
            records.save(self.file, found)

    def _boot_id(self) -> str:
        return (text(self.root / "proc/sys/kernel/random/boot_id") or str(uuid.UUID(int=0))).replace("-", "")

    def _version(self, name: str | None) -> str | None:
        """As the loader's entry has it, since that is what the loader chooses by; else as the system calls itself."""
        entry = boot_entries.parse(name or "")
        if entry is not None:
            return entry.version
        lines = text(self.root / "usr/lib/os-release").splitlines()
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        return values.get("IMAGE_VERSION", "").strip('"') or None


def _against(machine: Machine, before: Boot | None) -> Machine:
    return Machine(before, machine.root, machine.run, machine.reaches)
