"""What the verbs work on: this machine's programs and paths. No shell takes part, and no argument becomes a program."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from appliance.helper.pin import Pin
from chain.errors import Faulty, Unavailable

PROGRAMS: Final = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"
ENVIRONMENT: Final = {"PATH": PROGRAMS, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
TIMEOUT_S: Final = 60.0
LAST_WORDS: Final = 400


@dataclass(frozen=True, slots=True)
class Machine:
    """`programs` is a search path as in PATH, `config` the partition with the owner's settings."""

    pin: Pin
    now_ms: Callable[[], int]
    programs: str = PROGRAMS
    config: Path = field(default=Path("/dev/disk/by-partlabel/DCCNCFG"))

    def run(self, *argv: str, stdin: bytes = b"", timeout_s: float = TIMEOUT_S) -> bytes:
        """What the program printed. Raises Faulty `verb_failed`, Unavailable `engine_missing` where there is none."""
        program = shutil.which(argv[0], path=self.programs)
        if program is None:
            raise Unavailable("engine_missing", f"the program {argv[0]} is not on this machine")
        try:
            done = subprocess.run(
                [program, *argv[1:]], input=stdin, capture_output=True, env=ENVIRONMENT, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise Faulty("verb_failed", f"{_said(argv)} did not end within {timeout_s:.0f} s") from None
        if done.returncode:
            words = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-LAST_WORDS:]
            raise Faulty("verb_failed", f"{_said(argv)} ended with {done.returncode}: {words}")
        return done.stdout


def _said(argv: Sequence[str]) -> str:
    return " ".join(argv)[:LAST_WORDS]
