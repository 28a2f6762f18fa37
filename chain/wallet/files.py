"""Files of a wallet: whole or not at all, readable by their owner only, never written over by accident."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from chain.errors import Faulty

FILE_MODE, FOLDER_MODE = 0o600, 0o700


def create(path: Path, data: bytes) -> bool:
    """Write a file that must not exist yet; False when it does, and then nothing changes."""
    temporary = _write_beside(path, data)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        raise _failed(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def replace(path: Path, data: bytes) -> None:
    """Write a file, in place of what was there."""
    temporary = _write_beside(path, data)
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _failed(path, error) from None
    _sync_folder(path.parent)


def read(path: Path, limit: int) -> bytes | None:
    """At most `limit` + 1 bytes of a file; None when there is none."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Faulty("home_invalid", f"reading {path}: {error.strerror}") from None


def _write_beside(path: Path, data: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _failed(path, error) from None
    return temporary


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(path: Path, error: OSError) -> Faulty:
    code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "home_invalid"
    return Faulty(code, f"writing {path}: {error.strerror}")
