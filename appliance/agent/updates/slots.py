"""Which slot this system runs from, and which one is free to be written: by what the kernel holds, not by labels.

A stick with a partition called `root-b` must not be written instead of the disk's own, so the disk is found from the
opened root downwards: the device-mapper's `root` stands on two partitions, and the other slot is on the same disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.uki import ROOT_HASH
from chain.errors import Refused

OPENED: Final = "root"
OTHER: Final = {"a": "b", "b": "a"}


@dataclass(frozen=True, slots=True)
class Slot:
    """Two partitions: the root's file system, and its hash tree."""

    name: str
    root: Path
    tree: Path


@dataclass(frozen=True, slots=True)
class Slots:
    """`root_hash` is the running system's."""

    active: Slot
    idle: Slot
    root_hash: bytes


def find(root: Path = Path("/")) -> Slots:
    """Raises Refused `update_not_now` for a machine that does not run from one of two slots of one disk."""
    opened = [folder for folder in root.glob("sys/block/dm-*") if _text(folder / "dm/name") == OPENED]
    if len(opened) != 1:
        raise _other_machine("no verified root is open")
    under = {_label(node): node for node in (opened[0] / "slaves").iterdir()}
    name = next((name for name in OTHER if under.keys() == {f"root-{name}", f"hash-{name}"}), None)
    if name is None or _text(root / "run/dccn/slot") != name:
        raise _other_machine(f"the root stands on {', '.join(sorted(under)) or 'nothing'}")
    disk = under[f"root-{name}"].resolve().parent
    there = {_label(node): node for node in disk.iterdir() if (node / "partition").exists()}
    missing = {f"root-{OTHER[name]}", f"hash-{OTHER[name]}", "esp"} - there.keys()
    if missing or disk != under[f"hash-{name}"].resolve().parent:
        raise _other_machine(f"its disk has no {', '.join(sorted(missing)) or 'hash tree'}")
    idle = _slot(OTHER[name], there, root)
    held = [part for part in (f"root-{idle.name}", f"hash-{idle.name}") if any((there[part] / "holders").iterdir())]
    if held:
        raise _other_machine(f"{', '.join(held)} of the idle slot is in use")
    return Slots(_slot(name, there, root), idle, _root_hash(root))


def _slot(name: str, there: dict[str, Path], root: Path) -> Slot:
    places = [root / "dev" / there[f"{kind}-{name}"].name for kind in ("root", "hash")]
    return Slot(name, *places)


def _root_hash(root: Path) -> bytes:
    words = [word for word in _text(root / "proc/cmdline").split() if word.startswith(ROOT_HASH)]
    try:
        return bytes.fromhex(words[0].removeprefix(ROOT_HASH))
    except (IndexError, ValueError):
        raise _other_machine("its command line names no root hash") from None


def _label(node: Path) -> str:
    """The name that the partition table gives a partition; empty for none."""
    lines = _text(node / "uevent").splitlines()
    return next((line.removeprefix("PARTNAME=") for line in lines if line.startswith("PARTNAME=")), "")


def _other_machine(why: str) -> Refused:
    return Refused("update_not_now", f"this machine is no appliance that could update itself: {why}")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
