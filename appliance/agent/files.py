"""Files of the agent's home: written whole or not at all, secrets readable by their owner alone, one agent per home."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chain.errors import Faulty

SECRET_MODE = 0o600
PUBLIC_MODE = 0o644
HOME_MODE = 0o700


def write_atomically(
    path: Path, data: bytes, *, mode: int = PUBLIC_MODE, sync: bool = True, step: Callable[[str], None] | None = None
) -> None:
    """Replace `path` by `data` so that any reader, and any power cut, sees the old bytes or the new ones, never a mix.

    `step` is told the name of each write boundary just before it is crossed; tests kill the process there. `sync=False`
    leaves out the flushes, for files that may be lost with the machine's power, such as the status.
    """
    crossing = step or _ignore
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        crossing("open")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            os.fchmod(descriptor, mode)
            crossing("write")
            _write_all(descriptor, data)
            crossing("fsync")
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        crossing("rename")
        temporary.replace(path)
        crossing("fsync_folder")
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _as_faulty(error, f"writing {path}") from error


def write_json(path: Path, document: object, *, mode: int = PUBLIC_MODE, sync: bool = True) -> None:
    """`write_atomically` for a JSON document, indented, since people read these files."""
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=False) + "\n"
    write_atomically(path, text.encode(), mode=mode, sync=sync)


def read_json(path: Path) -> object:
    """The document in `path`; Faulty `home_invalid` when the file is there but is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise Faulty("home_invalid", f"{path} is not a JSON document: {error}") from error


def prepare_home(home: Path) -> None:
    """Make the data directory with mode 0700; Faulty `home_invalid` when it cannot be one."""
    try:
        home.mkdir(mode=HOME_MODE, parents=True, exist_ok=True)
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "it cannot be written")
    except OSError as error:
        raise _as_faulty(error, f"opening the data directory {home}") from error


@contextmanager
def exclusively(home: Path) -> Iterator[None]:
    """Hold the home's lock; a second agent on one home is refused at once, since it would sign under the same keys."""
    path = home / "agent.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_MODE)
    except OSError as error:
        raise _as_faulty(error, f"locking {path}") from error
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
            raise _as_faulty(error, f"locking {path}") from error
        yield
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_faulty(error: OSError, attempted: str) -> Faulty:
    code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "home_invalid"
    return Faulty(code, f"{attempted}: {error.strerror or error}")


def _ignore(_boundary: str) -> None:
    return None
