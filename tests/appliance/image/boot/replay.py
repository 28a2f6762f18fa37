"""Power cuts without a machine: a log of writes played onto the old disk, and a look at what every prefix would start.

After each write: is the boot partition a file system, which kernel image would the loader start, is it whole, and does
a slot hold the root that it names, to the last block? A look is taken again only when a write touched what it looks at.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from appliance import uki, verity
from appliance.agent.updates import boot_entries
from chain.errors import DccnError
from tests.appliance.image.boot import systems, write_log
from tests.appliance.image.boot.write_log import Write

HARMLESS = re.compile(
    r"fsck\.fat |.*: \d+ files,|Dirty bit|  *Automatically removing dirty bit|Free cluster summary|"
    r"There are differences between boot sector|This is mostly harmless|  65:01/00$|  Not automatically fixing this|"
    r"FATs differ but appear to be intact|  Using first FAT|"
    r"Reclaimed \d+ unused cluster|  Auto-correcting|Leaving filesystem unchanged"
)
"""What a check may say after a power cut without a file being touched: space that nobody owns, and that it was cut."""
REPAIRS = 4
"""A check finds some things only after it has repaired others; each start of the machine makes one."""


@dataclass(frozen=True, slots=True)
class State:
    """What the disk would start after write `number`. `fault` is None if that is a whole system."""

    number: int
    entry: str | None
    slot: str | None
    fault: str | None


@dataclass(slots=True)
class Replay:
    """`disk` begins as the state before the log; `kernels` are the digests of the kernel images that may be started."""

    disk: Path
    log: Path
    kernels: set[str]
    checked: int = 0
    repaired: int = 0
    _verified: dict[tuple[str, bytes], bool] = field(default_factory=dict)

    def states(self) -> Iterator[State]:
        """The state before the first write, and after each one."""
        esp = systems.partition(self.disk, "esp")
        slots = {
            slot: [systems.partition(self.disk, f"{kind}-{slot}") for kind in ("root", "hash")] for slot in ("a", "b")
        }
        boots = self._look()
        yield self._judge(-1, *boots)
        with self.log.open("rb") as log, self.disk.open("r+b") as disk:
            for write in write_log.writes(self.log):
                write.apply(log, disk)
                disk.flush()
                for slot, parts in slots.items():
                    if any(write.touches(part.offset_bytes, part.size_bytes) for part in parts):
                        self._forget(slot)
                if _touches_table(write) or write.touches(esp.offset_bytes, esp.size_bytes):
                    boots = self._look()
                yield self._judge(write.number, *boots)

    def _look(self) -> tuple[str | None, bytes | None, str | None]:
        """The entry that the loader takes, the root that it names, and what is wrong with the boot partition.

        The loader comes first and reads what is there; the started system repairs the file system before it mounts it.
        """
        self.checked += 1
        entry, root, fault = self._offered()
        complaint = file_system_fault(self.disk) if fault is None else None
        if complaint is None:
            return entry, root, fault
        self.repaired += 1
        with kept_boot_partition(self.disk):
            for _ in range(REPAIRS):
                repair_file_system(self.disk)
                still, _, fault = self._offered()
                left = file_system_fault(self.disk)
                if still != entry:
                    fault = f"the repair of the file system made {still} of {entry}"
                if fault is not None or left is None:
                    break
        fault = fault or left
        return entry, root, fault if fault is None else f"{fault} (before the repair: {complaint})"

    def _offered(self) -> tuple[str | None, bytes | None, str | None]:
        names = [name for name in systems.entries(self.disk) if self._is_offered(name)]
        name = boot_entries.choose(names)
        if name is None:
            return None, None, "the boot loader finds no kernel image"
        if boot_entries.doubles(names):
            return name, None, f"two entries of one version: {names}"
        kernel = systems.read_entry(self.disk, name)
        if hashlib.sha256(kernel).hexdigest() not in self.kernels:
            return name, None, f"{name} is no kernel image of any release ({len(kernel)} bytes)"
        return name, uki.root_hash(kernel), None

    def _is_offered(self, name: str) -> bool:
        """The loader passes over what is no program that says which system it starts, such as an empty file."""
        try:
            return bool(uki.os_release(systems.read_entry(self.disk, name)))
        except DccnError:
            return False

    def _judge(self, number: int, entry: str | None, root: bytes | None, fault: str | None) -> State:
        if fault is not None or root is None:
            return State(number, entry, None, fault or "no root is named")
        for slot in ("a", "b"):
            if (slot, root) not in self._verified:
                self._verified[slot, root] = verifies(self.disk, slot, root)
            if self._verified[slot, root]:
                return State(number, entry, slot, None)
        return State(number, entry, None, f"no slot holds the root of {entry}")

    def _forget(self, slot: str) -> None:
        self._verified = {key: value for key, value in self._verified.items() if key[0] != slot}


def file_system_fault(disk: Path) -> str | None:
    """What a check of the boot partition complains of, beyond what a power cut may leave; None for nothing."""
    done = _check_file_system(disk, "-n")
    return "; ".join(line.strip() for line in done.splitlines() if line.strip() and not HARMLESS.match(line)) or None


def repair_file_system(disk: Path) -> None:
    """As systemd-fsck does before the boot partition is mounted."""
    _check_file_system(disk, "-a")


@contextmanager
def kept_boot_partition(disk: Path) -> Iterator[None]:
    """Whatever happens to the boot partition meanwhile, afterwards it is as it was."""
    esp = systems.partition(disk, "esp")
    with disk.open("r+b") as file:
        file.seek(esp.offset_bytes)
        content = file.read(esp.size_bytes)
        try:
            yield
        finally:
            file.seek(esp.offset_bytes)
            file.write(content)


def _check_file_system(disk: Path, how: str) -> str:
    esp = systems.partition(disk, "esp")
    place = ["--offset", str(esp.offset_bytes), "--sizelimit", str(esp.size_bytes)]
    made = subprocess.run(["losetup", "--find", "--show", *place, disk], check=True, capture_output=True, text=True)
    device = made.stdout.strip()
    try:
        return subprocess.run(["fsck.vfat", how, device], capture_output=True, text=True, check=False).stdout
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def verifies(disk: Path, slot: str, root: bytes) -> bool:
    """Whether every block of a slot adds up to this root hash."""
    places = [systems.partition(disk, f"{kind}-{slot}").offset_bytes for kind in ("root", "hash")]
    with disk.open("rb") as data, disk.open("rb") as tree:
        data.seek(places[0])
        tree.seek(places[1])
        try:
            verity.verify(data, tree, root)
        except DccnError:
            return False
        return True


def at(number: int, disk: Path, log: Path) -> None:
    """Bring `disk`, the state before the log, to where it was after write `number`."""
    with log.open("rb") as recorded, disk.open("r+b") as target:
        _apply(number, recorded, target, log)


def _apply(number: int, recorded: BinaryIO, target: BinaryIO, log: Path) -> None:
    for write in write_log.writes(log):
        if write.number > number:
            return
        write.apply(recorded, target)


def _touches_table(write: Write) -> bool:
    return write.touches(0, 34 * 512)
