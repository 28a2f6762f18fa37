"""Files that are there whole or not at all, whatever stops the writer: the one way in which a home is written.

A file is written beside its place, flushed, and renamed into it; then the folder is flushed, since a name is content of
its folder. Secrets are never readable by others, not even for a moment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from chain.errors import Faulty

PRIVATE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644
FOLDER_MODE: Final = 0o700
FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def replace(
    path: Path, data: bytes, *, mode: int = PRIVATE_MODE, sync: bool = True, step: Callable[[str], None] | None = None
) -> None:
    """Write `path`, in place of what was there: any reader, and any power cut, sees the old bytes or the new ones.

    The folder is made when there is none. `sync=False` leaves out the flushes, for files that may be lost with the
    machine's power. `step` is told the name of each write boundary just before it is crossed; tests kill the process
    there. Raises Faulty `disk_full` or `home_invalid`.
    """
    crossing = step or _ignore
    with _written_beside(path, data, mode, sync, crossing) as temporary:
        crossing("rename")
        temporary.replace(path)
        crossing("sync_folder")
        if sync:
            sync_folder(path.parent)


def create(path: Path, data: bytes, *, mode: int = PRIVATE_MODE) -> bool:
    """Write a file that must not exist yet; False when it does, and then nothing changes.

    Raises Faulty `disk_full` or `home_invalid`.
    """
    with _written_beside(path, data, mode, True, _ignore) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        sync_folder(path.parent)
        return True


def read(path: Path, limit_bytes: int) -> bytes | None:
    """At most `limit_bytes` + 1 bytes of a file; None when there is none. Raises Faulty `home_invalid`."""
    try:
        with path.open("rb") as file:
            return file.read(limit_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise as_faulty(error, f"reading {path}") from None


def open_below(folder: Path, path: str) -> int:
    """Open a regular file below a folder to read, level by level: nothing in `path` leads out, and no link is followed.

    For names and folders that a stranger made. Raises FileNotFoundError for anything else, OSError as the system does.
    """
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path.split("/"):
            if name in ("", ".", "..") or "\0" in name:
                raise FileNotFoundError(path)
            below = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = below
        if not stat.S_ISREG(os.fstat(at).st_mode):
            raise FileNotFoundError(path)
    except OSError as error:
        os.close(at)
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise FileNotFoundError(path) from None
        raise
    return at


def sync_folder(folder: Path) -> None:
    """Makes names that were created, renamed or removed in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def as_faulty(error: OSError, attempted: str) -> Faulty:
    """The operating system's refusal in our words: `disk_full`, or `home_invalid`."""
    return Faulty("disk_full" if error.errno in FULL else "home_invalid", f"{attempted}: {error.strerror or error}")


@contextlib.contextmanager
def _written_beside(path: Path, data: bytes, mode: int, sync: bool, crossing: Callable[[str], None]) -> Iterator[Path]:
    """A complete file in the folder of `path`, under a name that no other writer uses; gone in the end."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        crossing("open")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            crossing("write")
            file.write(data)
            file.flush()
            crossing("sync")
            if sync:
                os.fsync(descriptor)
        yield temporary
    except OSError as error:
        raise as_faulty(error, f"writing {path}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _ignore(_boundary: str) -> None:
    return None
