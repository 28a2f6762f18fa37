"""The real helper as a process, on a real socket; the machine's own programs are scripts that write down their call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.helper.client import Helper
from chain.lifeline import spawn, stop

SCRIPT = """\
#!/bin/sh
echo "$(basename "$0") $*" >> {calls}
[ -e {folder}/$(basename "$0").fails ] && {{ echo "it is broken" >&2; exit 3; }}
[ -e {folder}/$(basename "$0").says ] && cat {folder}/$(basename "$0").says
exit 0
"""


@dataclass
class RunningHelper:
    """A helper of the caller `users[uid]`; `folder` has its state, its socket, its programs and its partition."""

    folder: Path
    users: dict[str, str]
    linger_s: float = 60.0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def socket(self) -> Path:
        return self.folder / "helper.sock"

    @property
    def client(self) -> Helper:
        return Helper(self.socket, timeout_s=20)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def start(self) -> RunningHelper:
        self.socket.unlink(missing_ok=True)
        settings = {
            "state": str(self.folder / "state"),
            "socket": str(self.socket),
            "users": self.users,
            "programs": f"{self.folder / 'programs'}:/usr/bin",
            "config": str(self.folder / "config.img"),
            "written_pin": str(self.folder / "console-pin"),
            "linger_s": self.linger_s,
        }
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "appliance.helper", json.dumps(settings)]
            self.process = spawn(command, stdout=log)
        deadline = time.monotonic() + 30
        while not self.socket.exists():
            assert self.process.poll() is None and time.monotonic() < deadline, "the helper did not start"
            time.sleep(0.02)
        return self

    def stop(self) -> int:
        assert self.process is not None
        return stop(self.process)

    def breaks(self, program: str) -> None:
        (self.folder / f"{program}.fails").touch()

    def says(self, program: str, text: str) -> None:
        (self.folder / f"{program}.says").write_text(text)


@pytest.fixture
def start_helper() -> Iterator[Callable[..., RunningHelper]]:
    """Starts helpers; by default this process's user is `root`, the caller who may do everything."""
    started: list[RunningHelper] = []
    with tempfile.TemporaryDirectory(prefix="dccn-helper-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # pytest's own folders are closed to other users, who are callers here as well
        (folder / "programs").mkdir()
        for program in ("systemctl", "journalctl"):
            script = folder / "programs" / program
            script.write_text(SCRIPT.format(calls=folder / "calls", folder=folder))
            script.chmod(0o755)

        def start(caller: str = "root", **settings: Any) -> RunningHelper:
            helper = RunningHelper(folder, {str(os.getuid()): caller}, **settings).start()
            started.append(helper)
            return helper

        yield start
        for helper in started:
            helper.stop()
