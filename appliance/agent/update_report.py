"""The agent's side of updates: passes the hub's word on to the updater, and the updater's words on to the hub.

The agent itself neither fetches nor writes a release; the updater is a program of its own (appliance/agent/updates).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from appliance.agent.events import Emit
from appliance.agent.files import write_json
from appliance.agent.updates import settings
from appliance.agent.updates.record import FILE, Record
from appliance.helper.client import Helper
from chain import files
from chain.errors import DccnError
from chain.proofs.commands import Command
from fleet.protocol.messages import Reported, Software

FOLDER: Final = Path("/run/dccn-updates")
MAX_BYTES: Final = 64 * 1024
LOOK_EVERY_S: Final = 5.0
ATTEMPTS: Final = 5
AGAIN_S: Final = 30.0
HUB_FILE: Final = settings.HUB.name


class UpdateReport:
    """Component. Without an updater on this machine there is nothing to report.

    `face` is the folder where the updater finds which hub this agent has; `send_reported` publishes the inventory anew.
    """

    name = "updates"

    def __init__(
        self,
        hub: Callable[[], tuple[str, str | None]],
        face: Path | None,
        emit: Emit,
        note: Callable[..., None],
        send_reported: Callable[[], object],
        *,
        ask: Callable[[str], object] = lambda verb: Helper().ask(verb),
        folder: Path = FOLDER,
        interval_s: float = LOOK_EVERY_S,
        again_s: float = AGAIN_S,
    ) -> None:
        self._hub = hub
        self._face = face
        self._emit = emit
        self._note = note
        self._send_reported = send_reported
        self._ask = ask
        self._file = folder / FILE
        self._interval_s = interval_s
        self._again_s = again_s
        self._asked = threading.Event()
        self._software: Software | None = None
        self._told_hub: tuple[str, str | None] | None = None

    def take(self, _command: Command) -> None:
        """Handler of the hub's command: the updater is told from this component's own thread."""
        self._asked.set()

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.look()
            if self._asked.wait(self._interval_s) and not stop.is_set():
                self._asked.clear()
                self._pass_on(stop)

    def wake(self) -> None:
        self._asked.set()

    def look(self) -> None:
        """Tell the updater which hub there is, and the hub what the updater is at, where either has changed."""
        hub = self._hub()
        if self._face is not None and hub != self._told_hub:
            write_json(self._face / HUB_FILE, {"hub_url": hub[0], "ca_pem": hub[1]}, sync=False)
            self._told_hub = hub
        software = self._read()
        if software != self._software:
            before, self._software = self._software, software
            self._tell(before, software)
            self._note(update=None if software is None else msgspec.to_builtins(software))
            self._send_reported()

    def mark(self, reported: Reported) -> Reported:
        """The inventory with the system that runs and what its updater is at."""
        return msgspec.structs.replace(reported, software=self._software)

    def _pass_on(self, stop: threading.Event) -> None:
        """Ask again for a while: soon after a start of the machine helper or updater may not be there yet."""
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                self._ask("look-for-update")
                return
            except DccnError as error:
                reason = error.message
            if stop.wait(self._again_s):
                return
        self._emit("command_refused", reason=f"looking for a release: {reason}")

    def _tell(self, before: Software | None, now: Software | None) -> None:
        if now is None or (before is not None and before.state == now.state and before.reason == now.reason):
            return
        if now.state == "waiting":
            self._emit("update_installed", reason=now.reason)
        elif now.state == "failed":
            self._emit("update_failed", code=now.code, reason=now.reason)

    def _read(self) -> Software | None:
        try:
            data = files.read(self._file, MAX_BYTES)
            record = None if data is None else msgspec.json.decode(data, type=Record)
        except (DccnError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if record is None:
            return None
        state = "current" if record.state == "looking" else record.state  # a look is over within seconds
        return Software(
            version=record.version,
            release=record.release or None,
            channel=record.channel,
            state=state,
            reason=record.reason,
            code=record.code,
        )
