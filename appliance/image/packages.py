"""Which Debian packages an image is made of, each with the hash of its file: `packages.lock`.

One package a line: name, version, architecture, SHA-256 of the .deb as the signed archive names it. The same lock and
the same commit give the same bytes; an archive that has moved on is noticed before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chain.errors import Faulty, Malformed

HEAD = "# Debian packages of an image: name, version, architecture, SHA-256 of the .deb\n"
_LINE = re.compile(r"(?P<name>\S+) (?P<version>\S+) (?P<architecture>\S+) (?P<sha256>[0-9a-f]{64})", re.ASCII)
SHOWN = 5


@dataclass(frozen=True, slots=True, order=True)
class Package:
    name: str
    version: str
    architecture: str
    sha256: str


def write(packages: Iterable[Package]) -> str:
    lines = (f"{one.name} {one.version} {one.architecture} {one.sha256}\n" for one in sorted(packages))
    return HEAD + "".join(lines)


def read(path: Path) -> list[Package]:
    """Raises Malformed `usage` for a file that is not there or a line that is no package."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed("usage", f"reading {path}: {error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise Malformed(
                "usage", f"{path}, line {number}: {line[:80]!r} is not name, version, architecture, SHA-256"
            )
        found.append(Package(**match.groupdict()))
    return found


def locked(installed: Iterable[tuple[str, str, str]], indices: Iterable[str]) -> list[Package]:
    """Installed (name, version, architecture) with the hashes that the archive's Packages files name.

    Raises Faulty `build_failed` for a package that no index has.
    """
    hashes = {key: digest for index in indices for key, digest in _entries(index)}
    found = []
    for name, version, architecture in installed:
        digest = hashes.get((name, version, architecture))
        if digest is None:
            raise Faulty("build_failed", f"the archive's index does not name {name} {version} ({architecture})")
        found.append(Package(name, version, architecture, digest))
    return found


def check(found: Iterable[Package], wanted: Iterable[Package], source: Path) -> None:
    """Raises Faulty `build_failed` with the first differences when an image would not be that of the lock."""
    have, want = {one.name: one for one in found}, {one.name: one for one in wanted}
    wrong = [
        f"{name}: {_said(want.get(name))} in the lock, {_said(have.get(name))} in the archive"
        for name in sorted({*have, *want})
        if have.get(name) != want.get(name)
    ]
    if wrong:
        more = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise Faulty("build_failed", f"not the packages of {source}: {'; '.join(wrong[:SHOWN])}{more}")


def _said(package: Package | None) -> str:
    return "none" if package is None else f"{package.version} ({package.sha256[:12]}…)"


def _entries(index: str) -> Iterator[tuple[tuple[str, str, str], str]]:
    """(name, version, architecture) and SHA-256 of every paragraph of a Packages file."""
    fields: dict[str, str] = {}
    for line in (*index.splitlines(), ""):
        if not line:
            if {"Package", "Version", "Architecture", "SHA256"} <= fields.keys():
                yield (fields["Package"], fields["Version"], fields["Architecture"]), fields["SHA256"]
            fields = {}
        elif line[0] not in " \t":
            name, _, value = line.partition(":")
            fields[name] = value.strip()
