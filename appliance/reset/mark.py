"""The mark that asks for a factory reset: a file on the owner's partition, which any computer can put there.

`factory-reset` (or `factory-reset.txt`, as some editors insist) is renamed to `factory-reset.running` before the first
byte is wiped and removed after the last, so that a power cut in between begins the wipe again, and a partition that
cannot be written refuses the wipe instead of repeating it at every boot. What came of it stays in `factory-reset.done`.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.errors import Faulty

ASKED: Final = ("factory-reset", "factory-reset.txt")
RUNNING: Final = "factory-reset.running"
DONE: Final = "factory-reset.done"
MAX_BYTES: Final = 4096
ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Marks:
    """The FAT file system in `partition`, a block device or a file. Errors are Faulty `wipe_failed`."""

    partition: Path

    def begin(self) -> bytes | None:
        """What the mark says, once it is sure that it can be removed again; None where nobody asks for a reset."""
        for name in (RUNNING, *ASKED):
            said = self._read(name)
            if said is None:
                continue
            if name != RUNNING:
                self._tool("mren", f"::/{name}", f"::/{RUNNING}")
            return said[:MAX_BYTES]
        return None

    def end(self, report: bytes) -> None:
        """The wipe is over: leave the report in place of the mark."""
        self._tool("mcopy", "-o", "-", f"::/{DONE}", stdin=report)
        self._tool("mdel", f"::/{RUNNING}")

    def report(self) -> bytes | None:
        """What the last reset left."""
        return self._read(DONE)

    def _read(self, name: str) -> bytes | None:
        try:
            return self._tool("mtype", f"::/{name}")
        except Faulty:
            return None

    def _tool(self, program: str, *arguments: str, stdin: bytes = b"") -> bytes:
        command = [program, "-i", str(self.partition), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, env=ENVIRONMENT, timeout=120, check=False)
        if done.returncode:
            words = done.stderr.decode("utf-8", "replace").strip()[-300:]
            raise Faulty("wipe_failed", f"{program} {' '.join(arguments)} on {self.partition}: {words}")
        return done.stdout
