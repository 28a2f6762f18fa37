"""Every program that the builder starts goes through here: what failed is said with its last words."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from chain.errors import Faulty, Unavailable

LAST_WORDS = 12


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> bytes:
    """Run to the end and return stdout. Raises Unavailable `engine_missing` (no such program) or Faulty `build_failed`.

    `log` gets all that the program prints, appended; without it, errors are told with the last lines of stderr.
    """
    command = [str(each) for each in argv]
    if shutil.which(command[0]) is None:
        raise Unavailable("engine_missing", f"the program {command[0]} is not installed")
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    if log is not None:
        with log.open("ab") as file:
            file.write(f"$ {shlex.join(command)}\n".encode() + done.stdout + done.stderr)
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-LAST_WORDS:]
        raise Faulty("build_failed", f"{shlex.join(command)[:400]} ended with {done.returncode}: " + " | ".join(said))
    return done.stdout
