"""What the records of this machine's boots say, for the status and the hub: which system runs, and why not a newer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from appliance.agent.events import Emit
from appliance.boots import records
from appliance.boots.records import Boot, Fallback

FILE = Path("/") / records.FILE
LOOK_EVERY_S = 5.0


class BootReport:
    """Component: keeps the status' fields of the boot, and tells once per start what a person should hear of it.

    Told when there is a connection, since a notice without one is not kept. A machine that keeps no records of its
    boots (any Debian with the agent on it) has nothing to report.
    """

    name = "boot_report"

    def __init__(
        self,
        boot: str,
        note: Callable[..., None],
        emit: Emit,
        is_connected: Callable[[], bool],
        file: Path = FILE,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._boot = boot
        self._note = note
        self._emit = emit
        self._is_connected = is_connected
        self._file = file
        self._look_every_s = look_every_s
        self._told: set[str] = set()

    def run(self, stop: threading.Event) -> None:
        while self._file.exists():
            self.look()
            if stop.wait(self._look_every_s):
                return

    def look(self) -> None:
        """Read the records once."""
        found = records.load(self._file)
        boot = found.this(self._boot)
        if boot is not None:
            self._note(system=boot.version, slot=boot.slot, boot=boot.outcome, boot_reasons=boot.reasons)
        given_up = found.fallback
        self._note(given_up=None if given_up is None else {"version": given_up.version, "reason": given_up.reason})
        if self._is_connected():
            self._tell(boot, given_up)

    def _tell(self, boot: Boot | None, given_up: Fallback | None) -> None:
        if given_up is not None and "fallback" not in self._told:
            self._told.add("fallback")
            self._emit(
                "update_given_up",
                version=given_up.version,
                running=given_up.running,
                tries=given_up.tries,
                reason=given_up.reason,
            )
        if boot is not None and boot.outcome == "unhealthy" and "unhealthy" not in self._told:
            self._told.add("unhealthy")
            self._emit("system_degraded", version=boot.version, reason="; ".join(boot.reasons))
        if boot is not None and boot.outcome == "healthy" and boot.assessed and "kept" not in self._told:
            self._told.add("kept")
            self._emit("system_kept", version=boot.version, slot=boot.slot)
