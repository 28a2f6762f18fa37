"""What the agent knows about itself, in one file that can be read while it runs and after it died."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.agent.clock import Clock
from appliance.agent.files import read_json, write_json
from appliance.agent.settings import STATUS_FILE, Settings
from chain.errors import REGISTRY, DccnError, Faulty
from fleet.protocol.messages import Problem

WRITE_INTERVAL_S = 1.0
SIGN_OF_LIFE_MS = 10_000
STUCK_S = 60.0


class Status(msgspec.Struct, kw_only=True):
    """The agent's state; unknown is null. Heights are the chain's, amounts decimal ANKR, times in ms since 1970.

    `verified_height` is the newest header that this device's light client checked; `balance` and `rewards_total` were
    proven against it; `light_client` is ok or says what is wrong. `spool_state` is ok, full or rolled_back;
    `evidence_level` 0 is a key in a file. `problems` are those that the machine's doctor sees, `quarantined` the PCI
    addresses of cards that take no work. `system` and `slot` say which system runs, `boot` whether it has shown that
    it works (begun, healthy, unhealthy and why), `given_up` which newer one did not; null on machines without slots.
    """

    device: str | None = None
    owner: str | None = None
    fleet: str | None = None
    hub_url: str | None = None
    evidence_level: int = 0
    pid: int | None = None
    is_running: bool = False
    written_ms: int | None = None
    enrolled: bool = False
    registered: bool | None = None
    registered_height: int | None = None
    connected: bool = False
    certificate_not_after_ms: int | None = None
    clock_offset_ms: int | None = None
    spool_records: int | None = None
    spool_bytes: int | None = None
    spool_max_bytes: int | None = None
    spool_state: str = "ok"
    next_seq: int | None = None
    accepted_seq: int | None = None
    last_receipt_ms: int | None = None
    command_version: int | None = None
    pog_height: int | None = None
    pog_rate_ops_per_s: int | None = None
    chain_id: str | None = None
    verified_height: int | None = None
    light_client: str | None = None
    inclusion_verified: bool = False
    inclusion_seq: int | None = None
    inclusion_height: int | None = None
    balance: str | None = None
    rewards_total: str | None = None
    reward_height: int | None = None
    rss_bytes: int | None = None
    system: str | None = None
    slot: str | None = None
    boot: str | None = None
    boot_reasons: list[str] = []
    given_up: dict[str, str] | None = None
    problem: str | None = None
    problems: list[Problem] = []
    quarantined: list[str] = []
    update: dict[str, object] | None = None


class StatusBoard:
    """Component: collects what others report and writes `status.json` when something changed.

    `sources` are asked before each writing; others call `note`. `face` is a folder that gets a copy for everybody.
    """

    name = "status"

    def __init__(
        self, path: Path, clock: Clock, *, face: Path | None = None, interval_s: float = WRITE_INTERVAL_S
    ) -> None:
        self._path = path
        self._face = face
        self._clock = clock
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._status = Status(pid=os.getpid(), is_running=True)
        self._sources: list[Callable[[], dict[str, object]]] = []
        self._steady: Status | None = None
        self._written_ms = 0
        self._looked_s = time.monotonic()

    def note(self, **fields: object) -> None:
        """Set fields of `Status` by name."""
        with self._lock:
            for name, value in fields.items():
                if name not in Status.__struct_fields__:
                    raise AttributeError(f"the status has no field {name!r}")
                setattr(self._status, name, value)

    def ask(self, source: Callable[[], dict[str, object]]) -> None:
        """Let `source` give fields at every writing."""
        self._sources.append(source)

    def is_moving(self) -> bool:
        """Whether every part was heard not long ago: one that holds its lock for ever stops the next look."""
        return time.monotonic() - self._looked_s < STUCK_S

    def snapshot(self) -> Status:
        for source in self._sources:
            self.note(**source())
        self._looked_s = time.monotonic()
        with self._lock:
            return msgspec.structs.replace(self._status, written_ms=self._clock.now_ms())

    def run(self, stop: threading.Event) -> None:
        while True:
            self._write_if_new()
            if stop.wait(self._interval_s):
                return

    def write(self) -> None:
        """Not flushed to the disk: losing it with the power loses nothing."""
        self._write(self.snapshot())

    def _write_if_new(self) -> None:
        """Flash wears out: what did not change is written only now and then, as a sign of life."""
        fresh = self.snapshot()
        steady = msgspec.structs.replace(fresh, written_ms=None, rss_bytes=None)
        overdue = (fresh.written_ms or 0) - self._written_ms >= SIGN_OF_LIFE_MS
        if steady != self._steady or overdue:
            self._write(fresh)
            self._steady = steady

    def _write(self, status: Status) -> None:
        document = msgspec.to_builtins(status)
        if self._face is not None:
            write_json(self._face / self._path.name, document, sync=False)
        # Least of what a full disk stops: who may not write it has to say so on the face, and to go on.
        with contextlib.suppress(Faulty):
            write_json(self._path, document, sync=False)
        self._written_ms = status.written_ms or 0

    def close(self, problem: str | None = None) -> None:
        """The last word: the agent does not run any more."""
        self.note(is_running=False, connected=False, problem=problem)
        self.write()


def read(home: Path) -> dict[str, object]:
    """The status of the agent in `home`, as `dccn agent status` shows it.

    `is_running` is checked against the process table, so that a killed agent does not look alive. Faulty
    `home_invalid` when no agent ever ran there.
    """
    settings = Settings(home=home)
    if not settings.status_file.exists():
        raise Faulty("home_invalid", f"no agent has run in {home}; start one: dccn agent run --home {home}")
    document = read_json(settings.status_file)
    if not isinstance(document, dict):
        raise Faulty("home_invalid", f"{settings.status_file} is not a status document")
    pid = document.get("pid")
    alive = bool(document.get("is_running")) and isinstance(pid, int) and Path(f"/proc/{pid}").exists()
    return {**document, "is_running": alive, "connected": bool(document.get("connected")) and alive}


def say_failure(face: Path, error: DccnError) -> None:
    """Leave on the face why the agent could not go on; the next start writes over it."""
    with contextlib.suppress(DccnError):
        status = Status(problem=f"{REGISTRY[error.code].meaning} {problem_of(error)}")
        write_json(face / STATUS_FILE, msgspec.to_builtins(status), sync=False)


def problem_of(error: DccnError) -> str:
    """An error as the status shows it."""
    return f"{error.message} ({error.code}). {error.remedy}"
