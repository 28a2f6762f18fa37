"""What is on the data partition, by its first bytes alone: nothing is opened, mounted or believed further."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HEAD_BYTES: Final = 4096
_LUKS: Final = (b"LUKS\xba\xbe", b"SKUL\xba\xbe")
_LUKS_UUID: Final = slice(168, 208)
_EXT4_MAGIC: Final = slice(1024 + 0x38, 1024 + 0x3A)
_EXT4_UUID: Final = slice(1024 + 0x68, 1024 + 0x78)


class Kind(StrEnum):
    """`sealed`: LUKS2, its keys in its header; `plain`: an ext4; `blank`: zeros only; `unknown`: anything else."""

    sealed = "sealed"
    plain = "plain"
    blank = "blank"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Volume:
    """`uuid` as 16 bytes; None where the volume names none."""

    kind: Kind
    uuid: bytes | None


def read(head: bytes) -> Volume:
    """The volume that begins with these (at least `HEAD_BYTES`) bytes."""
    if head[:6] in _LUKS:
        return Volume(Kind.sealed, _text_uuid(head[_LUKS_UUID]))
    if head[_EXT4_MAGIC] == b"\x53\xef":
        return Volume(Kind.plain, bytes(head[_EXT4_UUID]))
    return Volume(Kind.blank if not any(head) else Kind.unknown, None)


def _text_uuid(field: bytes) -> bytes | None:
    try:
        return uuid.UUID(field.split(b"\0")[0].decode("ascii")).bytes
    except ValueError:
        return None
