"""The kernel images on the boot partition: what the boot loader is offered, changed so that each moment is a good one.

A new image is made as `EFI/Linux/kernel.new`, a name that the loader does not read, and renamed when nothing else is
left to do. FAT keeps no journal: every name is flushed before anything depends on it, and no folder is ever made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from appliance import uki
from appliance.agent.updates.boot_entries import fresh, parse
from chain.errors import DccnError, Faulty, Refused
from chain.files import sync_folder

ENTRIES: Final = Path("EFI/Linux")
NEW: Final = "kernel.new"
SPARE_BYTES: Final = 1 << 20


class BootFolder:
    """`mount` is where the boot partition is mounted. Raises Faulty `update_failed` when it cannot be written."""

    def __init__(self, mount: Path) -> None:
        self.folder = mount / ENTRIES
        self._new = self.folder / NEW

    def names(self) -> list[str]:
        """Our entries, by their file names."""
        try:
            return sorted(path.name for path in self.folder.iterdir() if parse(path.name) is not None)
        except OSError as error:
            raise Faulty("update_failed", f"reading {self.folder}: {error.strerror}") from None

    def of_root(self, root_hash: bytes) -> list[str]:
        """The entries that start the system with this root."""
        return [name for name in self.names() if self._root_hash(name) == root_hash]

    def proven(self, root_hash: bytes) -> Path:
        """The kernel image of the running system. Raises Refused `update_not_now` unless it has proved itself.

        A system under assessment must keep what it would fall back to.
        """
        own = self.of_root(root_hash)
        entries = [parse(name) for name in own]
        if len(own) != 1 or entries[0] is None or entries[0].left is not None:
            raise Refused(
                "update_not_now", f"the running system has not proved itself yet ({', '.join(own) or 'no entry'})"
            )
        return self.folder / own[0]

    def make_room(self, length: int, root_hash: bytes) -> None:
        """See that a kernel image of `length` bytes fits; the other slot's goes first where it does not.

        Raises Refused `update_not_now` when there is too little room even then.
        """
        try:
            self._new.unlink(missing_ok=True)  # of an installation that was cut short
        except OSError as error:
            raise Faulty("update_failed", f"removing {self._new}: {error.strerror}") from None
        if self._free() < length + SPARE_BYTES:
            self.keep_only(root_hash)
        if self._free() < length + SPARE_BYTES:
            raise Refused("update_not_now", f"the boot partition has {self._free()} bytes left, {length} are needed")

    def keep_only(self, root_hash: bytes) -> None:
        """Offer nothing but the running system: an entry whose root is about to go must be gone before it."""
        own = self.of_root(root_hash)
        if not own:
            raise Refused("update_not_now", "the boot partition has no entry for the running system")
        for name in self.names():
            if name not in own:
                self.remove(name)
        self.sync(self.folder)

    def stage(self, pieces: Iterator[bytes]) -> Path:
        """Write a new kernel image under a name that the loader does not read, and flush it."""
        try:
            self.write(self._new, pieces)
            self.sync(self.folder)
        except OSError as error:
            raise Faulty("update_failed", f"writing {self._new}: {error.strerror}") from None
        return self._new

    def commit(self, version: str) -> str:
        """The only step that changes what is started next: rename the new image to its place, with its tries."""
        name = fresh(version).name
        for old in self.names():
            if (entry := parse(old)) is not None and entry.version == version:
                raise Faulty("update_failed", f"the boot partition has {old} already, {name} would be a double")
        try:
            self.rename(self._new, self.folder / name)
            self.sync(self.folder)
        except OSError as error:
            raise Faulty("update_failed", f"renaming the new kernel image to {name}: {error.strerror}") from None
        return name

    def write(self, path: Path, pieces: Iterator[bytes]) -> None:
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def rename(self, old: Path, new: Path) -> None:
        """FAT keeps a file's place and length beside its name, and Linux writes them there only with the file: before
        that, the new name stands for an empty file.
        """
        old.rename(new)
        with new.open("rb") as file:
            os.fsync(file.fileno())

    def remove(self, name: str) -> None:
        try:
            (self.folder / name).unlink()
        except OSError as error:
            raise Faulty("update_failed", f"removing {name}: {error.strerror}") from None

    def sync(self, folder: Path) -> None:
        sync_folder(folder)

    def _root_hash(self, name: str) -> bytes | None:
        try:
            return uki.root_hash((self.folder / name).read_bytes())
        except (OSError, DccnError):
            return None

    def _free(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize
