"""FAT file systems as files, made and filled without mounting anything: mkfs.vfat and mtools."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from appliance.image.run import run


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


def put(image: Path, name: str, data: bytes, *, offset_bytes: int = 0, epoch_s: int) -> None:
    """Write one file into the file system that begins at `offset_bytes` of `image`, in place of what was there."""
    with tempfile.TemporaryDirectory(prefix="dccn-fat-") as folder:
        source = Path(folder, Path(name).name)
        source.write_bytes(data)
        os.utime(source, (epoch_s, epoch_s))
        run(["mcopy", "-o", "-m", "-i", f"{image}@@{offset_bytes}", source, f"::{name}"], env=_at(epoch_s))


def get(image: Path, name: str, *, offset_bytes: int = 0) -> bytes:
    """One file's content."""
    return run(["mtype", "-i", f"{image}@@{offset_bytes}", f"::{name}"], env=_at(0))


def _folders(files: Mapping[str, bytes]) -> list[str]:
    folders = {str(parent) for name in files for parent in Path(name).parents if str(parent) not in (".", "/")}
    return sorted(folders)


def _at(epoch_s: int) -> dict[str, str]:
    return {"MTOOLS_SKIP_CHECK": "1", "TZ": "UTC", "SOURCE_DATE_EPOCH": str(epoch_s)}
