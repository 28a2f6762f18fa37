"""What the updater says of itself: kept over restarts, and shown to the console, the agent and whoever looks."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from appliance.agent.files import write_json
from chain import files
from chain.files import FOLDER_MODE

MAX_BYTES: Final = 256 * 1024
FILE: Final = "update.json"
MOST_GIVEN_UP: Final = 32

State = Literal["off", "current", "looking", "installing", "waiting", "restarting", "failed"]


class Installed(msgspec.Struct, kw_only=True):
    """A release that lies in the other slot. `restarted` once this machine was told to start it."""

    release: int
    version: str
    root_hash: str
    entry: str
    fetched_bytes: int
    total_bytes: int
    restarted: bool = False


class Record(msgspec.Struct, kw_only=True):
    """Times in ms since 1970. `reason` and `code` say why it is off, failed or waiting; `release` is the one that runs,
    as far as this machine knows, and no older one is ever installed. `step` and the bytes tell an installation's way.
    `closed_in` is the boot in which the node was closed to work; in the next one it is opened again.
    """

    state: State = "current"
    reason: str | None = None
    code: str | None = None
    version: str | None = None
    release: int = 0
    channel: str | None = None
    source: str | None = None
    offered: int | None = None
    step: str | None = None
    done_bytes: int | None = None
    step_bytes: int | None = None
    installed: Installed | None = None
    given_up: list[str] = []
    closed_in: str | None = None
    looked_ms: int | None = None
    next_look_ms: int | None = None


class RecordFile:
    """The record in the state folder, and a copy for everybody in `face`; progress goes into the copy alone."""

    def __init__(self, state: Path, face: Path) -> None:
        self._path = state / FILE
        self._face = face / FILE
        self.record = _load(self._path)

    def save(self) -> None:
        """Raises Faulty `disk_full` or `home_invalid`."""
        self._path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        write_json(self._path, msgspec.to_builtins(self.record))
        self.show()

    def show(self) -> None:
        """For those who look; losing it with the power loses nothing."""
        write_json(self._face, msgspec.to_builtins(self.record), sync=False)


def _load(path: Path) -> Record:
    """What was kept; nothing where there is none or a fault of the disk spoilt it."""
    data = files.read(path, MAX_BYTES)
    try:
        return Record() if data is None else msgspec.json.decode(data, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Record()
