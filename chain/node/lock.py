"""One node per home: two that shared a sign state could vote twice."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chain.errors import Faulty


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Holds the home for this process; the kernel lets go of it however the process ends.

    Raises Faulty `home_invalid` while another process holds it, or when it cannot be written.
    """
    path = home / "data" / "LOCK"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = path.open("a+")
    except OSError as error:
        raise Faulty("home_invalid", f"locking {path}: {error.strerror}") from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(20).strip() or "unknown"
            raise Faulty("home_invalid", f"{home} is in use by process {holder}") from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def holder(home: Path) -> int | None:
    """The process that holds the home, 0 if it does not say which; None when nobody does."""
    try:
        with (home / "data" / "LOCK").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except BlockingIOError:
        said = (home / "data" / "LOCK").read_text("ascii", "replace").strip()
        return int(said) if said.isdecimal() else 0
    except OSError:
        return None
