"""Start mosquitto, start it again when it dies, and never leave one behind."""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from chain import files
from chain.errors import DccnError, Faulty, Unavailable
from chain.lifeline import spawn, stop
from fleet.hub.broker.configuration import BrokerFiles, access_list, configuration
from fleet.hub.identity.authority import Authority

START_TIMEOUT_S: Final = 10.0
FIRST_BACKOFF_S: Final = 0.2
LAST_BACKOFF_S: Final = 30.0
HEALTHY_AFTER_S: Final = 30.0
STOP_GRACE_S: Final = 5.0
_SYSTEM_FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_log = logging.getLogger(__name__)


class Broker:
    """A supervised mosquitto on one port.

    One thread owns the process for its whole life: the kernel kills mosquitto when that thread ends, so a hub that is
    killed takes its broker along.
    """

    def __init__(self, folder: Path, host: str, port: int, fleet: str) -> None:
        self.files = BrokerFiles(folder)
        self.host, self.port, self._fleet = host, port, fleet
        self._stopping = threading.Event()
        self._first = threading.Event()
        self._failure: DccnError | None = None
        self._words: deque[str] = deque(maxlen=20)
        self._spoke = threading.Event()
        self._running = False
        self._user = ""
        self._thread = threading.Thread(target=self._supervise, name="broker", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.on_start: Callable[[], None] = lambda: None
        self.on_exit: Callable[[str], None] = lambda reason: None

    @property
    def pid(self) -> int | None:
        """The running mosquitto's process id."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, authority: Authority, hosts: list[str], now_ms: int) -> None:
        """Write the files and start. Returns when it accepts connections.

        Raises Unavailable(engine_missing), Faulty(port_occupied), Unavailable(unreachable) with mosquitto's own words.
        """
        self._program = find_mosquitto()
        self._write_files(authority, hosts, now_ms)
        self._thread.start()
        self._first.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Ask mosquitto to save its sessions and end.

        It is asked again, since it forgets a signal that comes just after it said that it runs, and killed in the end.
        """
        self._stopping.set()
        deadline = time.monotonic() + STOP_GRACE_S
        while self._thread.is_alive():
            if self._process is not None and self._process.poll() is None:
                if time.monotonic() < deadline:
                    self._process.terminate()
                else:
                    self._process.kill()
            self._thread.join(0.5)

    def _supervise(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                reason = self._run_once()
            except (DccnError, OSError) as error:
                reason = str(error)
                if not self._first.is_set():
                    self._failure = error if isinstance(error, DccnError) else _start_failure(reason)
            if self._failure is not None or self._stopping.is_set():
                break
            _log.warning("mosquitto ended (%s); starting it again in %.1f s", reason, backoff_s)
            _tell(self.on_exit, reason)
            self._stopping.wait(backoff_s)
            healthy = time.monotonic() - began > HEALTHY_AFTER_S
            backoff_s = FIRST_BACKOFF_S if healthy else min(LAST_BACKOFF_S, backoff_s * 2)
        self._first.set()

    def _run_once(self) -> str:
        """One life of mosquitto: why it ended. Before the first readiness a failure is raised."""
        self._words.clear()
        self._spoke.clear()
        self._running = False
        command: list[str | Path] = [self._program, "-c", self.files.configuration]
        account = _as_account(self._user)
        process = spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, privileges=account)
        self._process = process
        assert process.stderr is not None
        reader = threading.Thread(target=self._listen, args=(process.stderr,), name="broker-log", daemon=True)
        reader.start()
        try:
            if self._wait_ready(process):
                self._first.set()
                _tell(self.on_start)
                if not self._stopping.is_set():
                    process.wait()
        finally:
            if process.poll() is None:
                stop(process, STOP_GRACE_S)
            reader.join(1)
        reason = self._last_words(process.returncode)
        if not self._first.is_set() and not self._stopping.is_set():
            raise self._explain(reason)
        return reason

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Until mosquitto says that it runs; False when it ends or stays silent instead."""
        self._spoke.wait(START_TIMEOUT_S)
        return self._running and process.poll() is None

    def _listen(self, stream: IO[bytes]) -> None:
        for line in stream:
            text = line.decode(errors="replace").strip().partition(": ")[2] or line.decode(errors="replace").strip()
            self._words.append(text)
            if text.endswith(" running"):
                self._running = True
                self._spoke.set()
            _log.debug("mosquitto: %s", text)
        stream.close()
        self._spoke.set()

    def _last_words(self, code: int | None) -> str:
        errors = [word for word in self._words if word.startswith("Error") or "rror:" in word]
        return "; ".join(errors[-2:]) or f"exit status {code}"

    def _explain(self, reason: str) -> DccnError:
        if "Address already in use" in reason:
            return Faulty(
                "port_occupied", f"starting mosquitto on {self.host}:{self.port}: another program listens there"
            )
        return _start_failure(reason)

    def _write_files(self, authority: Authority, hosts: list[str], now_ms: int) -> None:
        user = self._user = _account(self.files.folder)
        key, certificate = authority.issue_pair("broker", hosts, now_ms)
        files.replace(self.files.ca, authority.pem)
        files.replace(self.files.certificate, certificate)
        files.replace(self.files.key, key)
        files.replace(self.files.access_list, access_list(self._fleet).encode())
        files.replace(self.files.configuration, configuration(self.files, self.host, self.port, user).encode())
        if os.geteuid() == 0:
            for path in (self.files.folder, *self.files.folder.iterdir()):
                shutil.chown(path, user)


def find_mosquitto() -> str:
    """Its path, also where /usr/sbin is not on PATH. Raises Unavailable(engine_missing)."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_FOLDERS])
    found = shutil.which("mosquitto", path=path)
    if found is None:
        raise Unavailable("engine_missing", "the broker mosquitto is not installed: apt-get install mosquitto")
    return found


def _account(folder: Path) -> str:
    """Whom mosquitto runs as. Started by root it gives up its rights, if it can still reach its own files then."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    reachable = all(parent.stat().st_mode & 0o001 for parent in folder.resolve().parents)
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "mosquitto" if reachable and "mosquitto" in names else "root"


def _tell(listener: Callable[..., None], *arguments: str) -> None:
    """Whoever cannot take the news, on a full disk for instance, must not take the broker down."""
    try:
        listener(*arguments)
    except Exception:
        _log.exception("telling of the broker's life failed")


def _as_account(user: str) -> list[str]:
    """Give up root before mosquitto would, which then does not change its account any more."""
    if os.geteuid() != 0 or user == "root":
        return []
    entry = pwd.getpwnam(user)
    return ["--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups"]


def _start_failure(reason: str) -> DccnError:
    return Unavailable("unreachable", f"starting mosquitto: {reason}")
