"""Which kernel image the boot loader starts, and what it and the blessing rename it to: a model without a disk.

The loader is systemd-boot 252. A file `EFI/Linux/dccn_<version>.efi` may carry a counter before its suffix,
`+<left>` or `+<left>-<done>`: boots left to prove itself, and boots that did not. The loader counts down by renaming
the file before each attempt; a boot that proves itself is blessed, which takes the counter off.

Sources: systemd's src/boot/efi/boot.c (order, counting) and src/boot/bless-boot.c; the Version Format Specification of
the UAPI group. The loader sorts by the version that the image itself states, in capital and small letters; the file
name states the same one, and versions have no capitals, since a FAT directory may hold any name in capitals.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from chain.errors import Malformed

TRIES: Final = 3
"""Boots that a new system has to prove itself."""

Key = tuple[tuple[int | str, ...], ...]

_VERSION = r"[0-9a-z]+(?:[.~^-][0-9a-z]+)*"
_NAME = re.compile(rf"dccn_({_VERSION})(?:\+(\d{{1,9}})(?:-(\d{{1,9}}))?)?\.efi", re.ASCII)
_SEGMENT = re.compile(r"([.~^-]?)([0-9]+|[a-z]+)", re.ASCII)
_RANKS: Final = {"~": 0, "-": 2, "^": 3, ".": 4, "": 5}
_END: Final = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One kernel image by its name. `left` is None without a counter: such an entry has proved itself."""

    version: str
    left: int | None = None
    done: int = 0

    @property
    def name(self) -> str:
        """The file name as the loader and the blessing write it: `-<done>` only after a first attempt."""
        if self.left is None:
            return f"dccn_{self.version}.efi"
        return f"dccn_{self.version}+{self.left}{f'-{self.done}' if self.done else ''}.efi"

    @property
    def is_spent(self) -> bool:
        """All its tries are used: the loader takes any other entry first."""
        return self.left == 0

    def attempted(self) -> Entry:
        """What the loader makes of it right before starting it."""
        return self if self.left is None else replace(self, left=max(self.left - 1, 0), done=self.done + 1)

    def blessed(self) -> Entry:
        """What it becomes when the boot has proved itself."""
        return Entry(self.version)


def fresh(version: str) -> Entry:
    """The entry of a system that was never started. Raises Malformed `usage` for a version that no name can hold."""
    if not is_version(version):
        rule = "digits and small letters, with single . ~ ^ or - between them"
        raise Malformed("usage", f"the version {version!r} of an image cannot be its name: it takes {rule}")
    return Entry(version, TRIES)


def is_version(text: str) -> bool:
    """Whether names and order are defined for this version."""
    return re.fullmatch(_VERSION, text, re.ASCII) is not None


def parse(name: str) -> Entry | None:
    """The entry with this file name, whatever its case; None for any other file."""
    found = _NAME.fullmatch(name.lower())
    if found is None:
        return None
    version, left, done = found.groups()
    return Entry(version, None if left is None else int(left), int(done or 0))


def choose(names: Iterable[str]) -> str | None:
    """The name, as given, that the loader starts among those of `EFI/Linux`; None if none of them is ours."""
    return next(iter(in_order(names)), None)


def in_order(names: Iterable[str]) -> list[str]:
    """Our names, first the one that is started: newest version first, those without a try left behind all others."""
    ours = {name: entry for name in names if (entry := parse(name)) is not None}

    def age(name: str) -> tuple[Key, Key, str]:
        return version_key(ours[name].version), version_key(name), name

    newest_first = sorted(ours, key=age, reverse=True)
    return sorted(newest_first, key=lambda name: ours[name].is_spent)


def doubles(names: Iterable[str]) -> list[str]:
    """The names of those versions that have more than one. There must be none: the loader prefers one that counts."""
    ours = {name: version_key(entry.version) for name in names if (entry := parse(name)) is not None}
    times = Counter(ours.values())
    return [name for name, version in ours.items() if times[version] > 1]


def version_key(text: str) -> Key:
    """Sorts versions, and whole file names, from the oldest to the newest as the loader compares them.

    Text falls into runs of digits and of letters. What stands before a run decides first: `~` makes it older than
    nothing at all, then come `-`, `^`, `.`, and newest a run that follows directly. Then letters are older than digits.
    """
    runs: list[tuple[int | str, ...]] = []
    for before, run in _SEGMENT.findall(text.lower()):
        runs.append((_RANKS[before], 1, int(run)) if run.isdigit() else (_RANKS[before], 0, run))
    return (*runs, (_END,))
