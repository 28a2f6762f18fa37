"""Files of the agent's home: written whole or not at all, secrets readable by their owner alone, one agent per home."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chain.errors import Faulty
from chain.files import FOLDER_MODE, PRIVATE_MODE, PUBLIC_MODE, as_faulty, replace


def write_json(path: Path, document: object, *, mode: int = PUBLIC_MODE, sync: bool = True) -> None:
    """`chain.files.replace` for a JSON document, indented, since people read these files."""
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=False) + "\n"
    replace(path, text.encode(), mode=mode, sync=sync)


def read_json(path: Path) -> object:
    """The document in `path`; Faulty `home_invalid` when the file is there but is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise Faulty("home_invalid", f"{path} is not a JSON document: {error}") from error


def prepare_home(home: Path) -> None:
    """Make the data directory with mode 0700; Faulty `home_invalid` when it cannot be one."""
    try:
        home.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "it cannot be written")
    except OSError as error:
        raise as_faulty(error, f"opening the data directory {home}") from error


@contextmanager
def exclusively(home: Path) -> Iterator[None]:
    """Hold the home's lock; a second agent on one home is refused at once, since it would sign under the same keys."""
    path = home / "agent.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
    except OSError as error:
        raise as_faulty(error, f"locking {path}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise Faulty("home_invalid", f"another agent (process {holder}) already runs on {home}") from error
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except OSError as error:
            raise as_faulty(error, f"locking {path}") from error
        yield
    finally:
        os.close(descriptor)
