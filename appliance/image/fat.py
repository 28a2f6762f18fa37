"""FAT file systems as files, made and filled without mounting anything: mkfs.vfat and mtools."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from appliance.image.run import run
from chain.errors import Refused


def make(path: Path, size_bytes: int, label: str, serial: int, files: Mapping[str, bytes], epoch_s: int) -> None:
    """A file system of exactly `size_bytes` with these files (path to content), the same bytes whenever it is made."""
    with path.open("wb") as file:
        file.truncate(size_bytes)
    bits = "32" if size_bytes >= 33 * 1024 * 1024 else "16"
    run(["mkfs.vfat", "--invariant", "-F", bits, "-i", f"{serial:08x}", "-n", label, path])
    for folder in _folders(files):
        run(["mmd", "-D", "s", "-i", path, f"::{folder}"], env=_at(epoch_s))
    for name, data in sorted(files.items()):
        put(path, name, data, epoch_s=epoch_s)


def put(image: Path, name: str, data: bytes, *, offset_bytes: int = 0, epoch_s: int | None = None) -> None:
    """Write one file into the file system that begins at an offset of `image`, in place of what was there."""
    source = image.with_name(f".{image.name}.{os.getpid()}.part")
    try:
        source.write_bytes(data)
        if epoch_s is not None:
            os.utime(source, (epoch_s, epoch_s))
        options = ["-o", "-m"] if epoch_s is not None else ["-o"]
        run(["mcopy", *options, "-i", _at_offset(image, offset_bytes), source, f"::{name}"], env=_at(epoch_s))
    finally:
        source.unlink(missing_ok=True)


def get(image: Path, name: str, *, offset_bytes: int = 0) -> bytes:
    """The content of one file. Raises Faulty `build_failed` when it is not there."""
    return run(["mtype", "-i", _at_offset(image, offset_bytes), f"::{name}"])


def listing(image: Path, folder: str = "/", *, offset_bytes: int = 0) -> list[str]:
    """The names in a folder, in the letters that the boot loader sees."""
    found = run(["mdir", "-b", "-i", _at_offset(image, offset_bytes), f"::{folder}"]).decode("utf-8", "replace")
    return sorted(line.strip().removeprefix("::").rstrip("/").rpartition("/")[2] for line in found.splitlines() if line)


def check(image: Path) -> None:
    """Raises Refused `check_failed` for a file system that is damaged."""
    try:
        run(["fsck.vfat", "-n", image])
    except Exception as error:
        raise Refused("check_failed", f"{image}: {error}") from None


def _folders(files: Mapping[str, bytes]) -> list[str]:
    folders = {str(parent) for name in files for parent in Path(name).parents if str(parent) not in (".", "/")}
    return sorted(folders)


def _at_offset(image: Path, offset_bytes: int) -> str:
    return f"{image}@@{offset_bytes}" if offset_bytes else str(image)


def _at(epoch_s: int | None) -> dict[str, str]:
    return {"MTOOLS_SKIP_CHECK": "1", "TZ": "UTC", **({} if epoch_s is None else {"SOURCE_DATE_EPOCH": str(epoch_s)})}
