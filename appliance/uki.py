"""Unified kernel images: systemd's stub with kernel, initrd and command line as sections of one PE file.

Done here instead of by `objcopy`, since that writes the time of day into the header. Sources: Microsoft's PE/COFF
format; the Boot Loader Specification, type 2; systemd-stub(7), which names the sections.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from chain.errors import Malformed

PAGE_BYTES = 4096
_READ_ONLY_DATA = 0x40000040
_SECTION = struct.Struct("<8sIIIIIIHHI")
ORDER = (".osrel", ".cmdline", ".uname", ".initrd", ".linux")
"""The kernel comes last: it unpacks itself upwards."""

ROOT_HASH = "dccn.roothash="
"""What stands before the root hash on a kernel's command line."""

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a PE file: where it lies in memory and in the file."""

    name: str
    virtual_bytes: int
    address: int
    raw_bytes: int
    offset: int


def build(stub: bytes, parts: Mapping[str, bytes]) -> bytes:
    """The stub with `parts` (section name to content) added in the stub's order; the same bytes whenever it is made.

    Raises Malformed for a stub that is no PE file or has no room for more section headers.
    """
    header = _Header.parse(stub)
    image = bytearray(stub)
    sections = sections_of(stub)
    room = min(section.offset for section in sections if section.offset) - header.table_end(len(sections))
    if room < len(parts) * _SECTION.size:
        raise Malformed("malformed", f"the stub has room for {room // _SECTION.size} more sections, not {len(parts)}")
    address = max(section.address + section.virtual_bytes for section in sections)
    for number, name in enumerate((name for name in ORDER if name in parts), len(sections)):
        content = parts[name]
        address = _up(address, max(header.section_alignment, PAGE_BYTES))
        image.extend(bytes(-len(image) % header.file_alignment))
        entry = _SECTION.pack(
            name.encode(),
            len(content),
            address,
            _up(len(content), header.file_alignment),
            len(image),
            0,
            0,
            0,
            0,
            _READ_ONLY_DATA,
        )
        at = header.table_end(number)
        image[at : at + len(entry)] = entry
        image.extend(content)
        address += len(content)
    image.extend(bytes(-len(image) % header.file_alignment))
    struct.pack_into("<H", image, header.at + 6, len(sections) + len(parts))
    struct.pack_into("<I", image, header.at + 8, 0)  # TimeDateStamp
    struct.pack_into("<I", image, header.at + 24 + 56, _up(address, header.section_alignment))  # SizeOfImage
    struct.pack_into("<I", image, header.at + 24 + 64, 0)  # CheckSum, which no firmware reads
    return bytes(image)


def sections_of(image: bytes) -> list[Section]:
    """The sections of a PE file in the order of its table. Raises Malformed."""
    header = _Header.parse(image)
    found = []
    for number in range(header.sections):
        at = header.table_end(number)
        entry = image[at : at + _SECTION.size]
        if len(entry) < _SECTION.size:
            raise Malformed("malformed", f"the table of {header.sections} sections is cut short")
        name, virtual, address, raw, offset, *_ = _SECTION.unpack(entry)
        found.append(Section(name.rstrip(b"\0").decode("ascii", "replace"), virtual, address, raw, offset))
    return found


def content(image: bytes, name: str) -> bytes | None:
    """The bytes of one section; None if there is none of this name."""
    for section in sections_of(image):
        if section.name == name:
            return image[section.offset : section.offset + min(section.virtual_bytes, section.raw_bytes)]
    return None


def root_hash(image: bytes) -> bytes:
    """The root hash that a kernel image's command line names. Raises Malformed when it names none, or several."""
    words = (content(image, ".cmdline") or b"").rstrip(b"\0").decode("ascii", "replace").split()
    named = [word.removeprefix(ROOT_HASH) for word in words if word.startswith(ROOT_HASH)]
    if len(named) != 1 or not _DIGEST.fullmatch(named[0]):
        raise Malformed("malformed", f"a kernel image names one root hash, this one {named or 'none'}")
    return bytes.fromhex(named[0])


def os_release(image: bytes) -> dict[str, str]:
    """What the system of a kernel image calls itself: the fields of os-release(5) in it."""
    return fields((content(image, ".osrel") or b"").decode("utf-8", "replace"))


def fields(text: str) -> dict[str, str]:
    """The assignments of a file such as os-release(5)."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip('"') for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class _Header:
    at: int
    sections: int
    optional_bytes: int
    section_alignment: int
    file_alignment: int

    @classmethod
    def parse(cls, image: bytes) -> _Header:
        try:
            (at,) = struct.unpack_from("<I", image, 0x3C)
            if image[:2] != b"MZ" or image[at : at + 4] != b"PE\0\0":
                raise Malformed("malformed", "this is no PE file")
            (sections,) = struct.unpack_from("<H", image, at + 6)
            (optional,) = struct.unpack_from("<H", image, at + 20)
            section_alignment, file_alignment = struct.unpack_from("<II", image, at + 24 + 32)
        except struct.error:
            raise Malformed("malformed", "this PE file is cut short") from None
        return cls(at, sections, optional, section_alignment, file_alignment)

    def table_end(self, sections: int) -> int:
        return self.at + 24 + self.optional_bytes + sections * _SECTION.size


def _up(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment
