"""Child processes that cannot outlive their parent: every engine and every part of the demo is started here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from chain.errors import Unavailable

# util-linux, essential on Debian: sets PR_SET_PDEATHSIG and becomes the program, so nothing of ours runs after fork.
SETPRIV = "setpriv"
# The kernel's promise begins when the child asks for it; a parent that died before that must be noticed by the child.
ONLY_IF_PARENT_LIVES = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'


def spawn(
    argv: Sequence[str | Path],
    *,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    privileges: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start a program that the kernel kills when the thread that called this ends, however it ends.

    `privileges` are options of setpriv, such as those of another account: a change of account makes the kernel forget
    whom the process dies with, so it has to come first.
    Call it from a thread that lives as long as the process (Linux binds the signal to the thread, not the process).
    The child gets a session of its own, so that Ctrl-C reaches only the parent, which stops its children in order.
    """
    program = shutil.which(str(argv[0]))
    if program is None:
        raise Unavailable("engine_missing", f"starting {argv[0]}: no such program is installed")
    command = [*_wrapper(privileges), program, *map(str, argv[1:])]
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=env, start_new_session=True)


def stop(process: subprocess.Popen[bytes], grace_s: float = 10.0) -> int:
    """Ask the process to end, kill it after `grace_s` seconds; returns its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def _wrapper(privileges: Sequence[str]) -> list[str]:
    """What goes before the program's own words: each becomes the next by exec, so the process id stays the same."""
    if shutil.which(SETPRIV) is None:
        return []
    return [SETPRIV, *privileges, "--pdeathsig", "KILL", "--", "/bin/sh", "-c", ONLY_IF_PARENT_LIVES, str(os.getpid())]
