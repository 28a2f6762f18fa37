"""An appliance's disk as files: two slots and a boot partition, where every write is noted and the power can go.

What was written and not yet flushed may be lost, whole or in part, in any combination: `Disk.after` gives the contents
that a machine could find when it starts again.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance import uki, verity
from appliance.agent.updates import boot_entries
from appliance.agent.updates.boot_folder import ENTRIES, BootFolder
from appliance.agent.updates.installer import Installer
from appliance.agent.updates.partition import Partition
from appliance.agent.updates.slots import Slot, Slots
from chain.errors import DccnError

SLOT_BLOCKS = 400


class PowerCut(BaseException):
    """Nothing in the program under test may catch it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the disk: what happens to which partition or file."""

    kind: str
    place: str
    offset: int = 0
    data: bytes = b""
    target: str = ""


@dataclass(slots=True)
class Contents:
    """What lies on a disk: partitions and the files of the boot partition, by name."""

    partitions: dict[str, bytes]
    files: dict[str, bytes]

    def offered(self) -> dict[str, bytes]:
        return {name: data for name, data in self.files.items() if "/" not in name and boot_entries.parse(name)}

    def starts(self) -> str | None:
        """The version that the machine runs after it is switched on; None when it would stand still."""
        name = boot_entries.choose(self.offered())
        return None if name is None else self.whole_system(name)

    def whole_system(self, name: str) -> str | None:
        """The version of an entry whose kernel image is complete and whose root verifies in one of the slots."""
        image = self.files[name]
        try:
            root_hash, version = uki.root_hash(image), uki.os_release(image)["IMAGE_VERSION"]
            end = max(section.offset + section.raw_bytes for section in uki.sections_of(image))
        except (DccnError, KeyError, ValueError):
            return None
        if len(image) < end:
            return None
        return version if any(self._verifies(slot, root_hash) for slot in "ab") else None

    def _verifies(self, slot: str, root_hash: bytes) -> bool:
        root, tree = self.partitions[f"root-{slot}"], self.partitions[f"hash-{slot}"]
        key = (hashlib.sha256(root).digest(), hashlib.sha256(tree).digest(), root_hash)
        if key not in _VERIFIED:
            _VERIFIED[key] = _verifies(root, tree, root_hash)
        return _VERIFIED[key]


_VERIFIED: dict[tuple[bytes, bytes, bytes], bool] = {}
"""Most of the disks that are looked at differ in one slot only."""


def _verifies(root: bytes, tree: bytes, root_hash: bytes) -> bool:
    """As dm-verity does, over every block."""
    try:
        header = verity.Superblock.decode(tree)
        digests = verity.leaves(tree[: verity.hash_area_bytes(header.data_blocks)], root_hash)[1]
    except (DccnError, OverflowError):
        return False
    blocks = (root[at * verity.BLOCK_BYTES :][: verity.BLOCK_BYTES] for at in range(header.data_blocks))
    return b"".join(hashlib.sha256(header.salt + block).digest() for block in blocks) == digests


@dataclass(slots=True)
class Disk:
    """`limit`: the power goes before that many steps were made. `forgets`: kinds of steps that the disk ignores."""

    folder: Path
    steps: list[Step] = field(default_factory=list)
    limit: int | None = None
    forgets: frozenset[str] = frozenset()
    before: Contents | None = None

    def make(self, builds: dict[str, Path], entries: dict[str, Path]) -> None:
        """`builds`: slot → the build in it. `entries`: name → the build whose kernel image it is."""
        self.folder.mkdir(parents=True)
        for slot in "ab":
            for kind, part in (("root", "root.erofs"), ("hash", "root.verity")):
                data = (builds[slot] / part).read_bytes() if slot in builds else b""
                (self.folder / f"{kind}-{slot}").write_bytes(data.ljust(SLOT_BLOCKS * verity.BLOCK_BYTES, b"\xa5"))
        linux = self.folder / "esp" / ENTRIES
        linux.mkdir(parents=True)
        for name, build in entries.items():
            (linux / name).write_bytes((build / "kernel.efi").read_bytes())
        self.before = self.contents()

    def installer(self, running: Path, *, active: str = "a") -> Installer:
        root_hash = uki.root_hash((running / "kernel.efi").read_bytes())
        slot = {name: Slot(name, self.folder / f"root-{name}", self.folder / f"hash-{name}") for name in "ab"}
        slots = Slots(slot[active], slot["b" if active == "a" else "a"], root_hash)
        return Installer(slots, RecordedBootFolder(self), opened=self._opened)

    def contents(self) -> Contents:
        """What lies on it now."""
        linux = self.folder / "esp" / ENTRIES
        partitions = {name: (self.folder / name).read_bytes() for name in ("root-a", "hash-a", "root-b", "hash-b")}
        files = {str(path.relative_to(linux)): path.read_bytes() for path in linux.rglob("*") if path.is_file()}
        return Contents(partitions, files)

    def take(self, step: Step) -> None:
        if self.limit is not None and len(self.steps) >= self.limit:
            raise PowerCut
        if step.kind not in self.forgets:
            self.steps.append(step)

    def after(self, count: int, chance: random.Random | None, loss: float) -> Contents:
        """The contents after `count` steps, where each one that was not flushed is lost with probability `loss`."""
        assert self.before is not None
        partitions = {name: bytearray(data) for name, data in self.before.partitions.items()}
        files = {name: bytearray(data) for name, data in self.before.files.items()}
        for number, step in enumerate(self.steps[:count]):
            lost = chance is not None and not self._is_flushed(number, count) and chance.random() < loss
            kept = 0 if loss == 1 else chance.randrange(len(step.data) + 1) if chance and step.data else 0
            data = step.data[:kept] if lost else step.data
            if step.kind == "write":
                partitions[step.place][step.offset : step.offset + len(data)] = data
            elif step.kind == "append" and step.place in files:
                files[step.place].extend(data)
            elif lost:
                continue
            elif step.kind == "create":
                files[step.place] = bytearray()
            elif step.kind == "remove":
                files.pop(step.place, None)
            elif step.kind == "rename" and step.place in files:
                files[step.target] = files.pop(step.place)
        return Contents(_frozen(partitions), _frozen(files))

    def _is_flushed(self, number: int, count: int) -> bool:
        step = self.steps[number]
        flush = {"write": "sync", "append": "fsync"}.get(step.kind, "sync_folder")
        place = None if flush == "sync_folder" else step.place
        later = self.steps[number + 1 : count]
        return any(one.kind == flush and place in (None, one.place) for one in later)

    def _opened(self, path: Path, *, writable: bool = False) -> Partition:
        return RecordedPartition(self, path, writable=writable)


def _frozen(contents: dict[str, bytearray]) -> dict[str, bytes]:
    return {name: bytes(data) for name, data in contents.items()}


class RecordedPartition(Partition):
    def __init__(self, disk: Disk, path: Path, *, writable: bool = False) -> None:
        super().__init__(path, writable=writable)
        self._disk = disk

    def write(self, offset: int, data: bytes) -> None:
        self._disk.take(Step("write", self.path.name, offset, data))
        super().write(offset, data)

    def sync(self) -> None:
        self._disk.take(Step("sync", self.path.name))
        super().sync()


class RecordedBootFolder(BootFolder):
    def __init__(self, disk: Disk) -> None:
        super().__init__(disk.folder / "esp")
        self._disk = disk

    def write(self, path: Path, pieces: Iterator[bytes]) -> None:
        self._disk.take(Step("create", self._name(path)))
        with path.open("wb") as file:
            for piece in pieces:
                self._disk.take(Step("append", self._name(path), 0, piece))
                file.write(piece)
                file.flush()
            self._disk.take(Step("fsync", self._name(path)))
            os.fsync(file.fileno())

    def rename(self, old: Path, new: Path) -> None:
        self._disk.take(Step("rename", self._name(old), target=self._name(new)))
        super().rename(old, new)

    def remove(self, name: str) -> None:
        self._disk.take(Step("remove", name))
        super().remove(name)

    def sync(self, folder: Path) -> None:
        self._disk.take(Step("sync_folder", folder.name))
        super().sync(folder)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder))
