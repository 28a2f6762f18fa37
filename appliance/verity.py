"""dm-verity hash trees in pure Python: made when an image is built, checked after a slot was written.

Format: the kernel's `dm-verity`, version 1, as `veritysetup format` writes it: one block of superblock, then the levels
of the tree from the root's down to the leaves'. Blocks have 4 096 bytes, the hash is SHA-256(salt ‖ block).
Source: the kernel's Documentation/admin-guide/device-mapper/verity.rst; cryptsetup's lib/verity/verity.c (the layout).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import BinaryIO

from chain.errors import Malformed, Refused

BLOCK_BYTES = 4096
DIGEST_BYTES = 32
PER_BLOCK = BLOCK_BYTES // DIGEST_BYTES
_MAGIC = b"verity\0\0"
_SUPERBLOCK = struct.Struct("<8sII16s32sIIQH6x256s168x")


@dataclass(frozen=True, slots=True)
class Superblock:
    """What the first block of a hash area says: how many data blocks, and the salt (at most 256 bytes)."""

    data_blocks: int
    salt: bytes
    uuid: bytes = bytes(16)

    def encode(self) -> bytes:
        return _SUPERBLOCK.pack(
            _MAGIC,
            1,
            1,
            self.uuid,
            b"sha256",
            BLOCK_BYTES,
            BLOCK_BYTES,
            self.data_blocks,
            len(self.salt),
            self.salt,
        )

    @classmethod
    def decode(cls, data: bytes) -> Superblock:
        """Raises Malformed for anything but this module's own parameters."""
        if len(data) < _SUPERBLOCK.size:
            raise Malformed("malformed", f"a verity superblock has {_SUPERBLOCK.size} bytes, not {len(data)}")
        magic, version, kind, uuid, algorithm, data_size, hash_size, blocks, salt_bytes, salt = _SUPERBLOCK.unpack(
            data[: _SUPERBLOCK.size]
        )
        wanted = (_MAGIC, 1, 1, b"sha256", BLOCK_BYTES, BLOCK_BYTES)
        found = (magic, version, kind, algorithm.rstrip(b"\0"), data_size, hash_size)
        if found != wanted or salt_bytes > len(salt):
            raise Malformed("malformed", f"a verity superblock of another kind: {found}")
        return cls(blocks, salt[:salt_bytes], uuid)


def build(data: BinaryIO, data_blocks: int, salt: bytes, uuid: bytes = bytes(16)) -> tuple[bytes, bytes]:
    """The hash area for `data_blocks` blocks read from `data`, and the 32-byte root hash."""
    levels = _levels(_digests(data, data_blocks, salt), salt)
    header = Superblock(data_blocks, salt, uuid).encode().ljust(BLOCK_BYTES, b"\0")
    root = _digest(salt, levels[-1])
    return header + b"".join(reversed(levels)), root


def verify(data: BinaryIO, hash_area: BinaryIO, root: bytes) -> None:
    """Check every data block against the root hash. Raises Malformed or Refused `check_failed` with the place.

    The tree is computed anew from the data and compared with the stored one, so damage in either is found.
    """
    header = Superblock.decode(hash_area.read(BLOCK_BYTES))
    levels = _levels(_digests(data, header.data_blocks, header.salt), header.salt)
    if _digest(header.salt, levels[-1]) != root:
        raise Refused("check_failed", f"the data do not add up to the root hash {root.hex()}")
    for level in reversed(levels):
        if hash_area.read(len(level)) != level:
            raise Refused("check_failed", "the stored hash tree is not that of the data")


def leaves(hash_area: bytes, root: bytes) -> tuple[Superblock, bytes]:
    """The superblock and the digests of the data blocks, 32 bytes each, once the whole tree leads to the root hash.

    With them each block can be judged by itself, as it comes. Raises Malformed or Refused `check_failed`.
    """
    header = Superblock.decode(hash_area)
    if not header.data_blocks or len(hash_area) != hash_area_bytes(header.data_blocks):
        raise Malformed("malformed", f"a hash area of {len(hash_area)} bytes is not one of {header.data_blocks} blocks")
    at, digests = BLOCK_BYTES, root
    for width in reversed(_widths(header.data_blocks)):
        level = hash_area[at : at + width * BLOCK_BYTES]
        for number in range(width):
            block = level[number * BLOCK_BYTES :][:BLOCK_BYTES]
            if _digest(header.salt, block) != digests[number * DIGEST_BYTES :][:DIGEST_BYTES]:
                place = at // BLOCK_BYTES + number
                raise Refused("check_failed", f"block {place} of the hash tree does not lead to {root.hex()}")
        at, digests = at + len(level), level
    used = header.data_blocks * DIGEST_BYTES
    # The root hash covers the tree, not the superblock: what says the number of blocks is where the digests end.
    if any(digests[used:]) or not any(digests[used - DIGEST_BYTES : used]):
        raise Refused(
            "check_failed", f"the hash tree is not one of {header.data_blocks} blocks, as its superblock says"
        )
    return header, digests[:used]


def hash_area_bytes(data_blocks: int) -> int:
    """Size of the hash area, superblock included."""
    return (1 + sum(_widths(data_blocks))) * BLOCK_BYTES


def _widths(data_blocks: int) -> list[int]:
    """How many blocks each level of the tree has, the leaves' first, the root's last."""
    widths = [-(-data_blocks // PER_BLOCK)]
    while widths[-1] > 1:
        widths.append(-(-widths[-1] // PER_BLOCK))
    return widths


def _digest(salt: bytes, block: bytes) -> bytes:
    return hashlib.sha256(salt + block).digest()


def _digests(data: BinaryIO, blocks: int, salt: bytes) -> list[bytes]:
    found = []
    salted = hashlib.sha256(salt)
    for number in range(blocks):
        block = data.read(BLOCK_BYTES)
        if len(block) != BLOCK_BYTES:
            raise Malformed("malformed", f"data block {number} of {blocks} is cut short")
        digest = salted.copy()
        digest.update(block)
        found.append(digest.digest())
    return found


def _levels(digests: list[bytes], salt: bytes) -> list[bytes]:
    """The tree's levels as whole blocks, the leaves' first, the root's last."""
    if not digests:
        raise Malformed("malformed", "a verity tree over no data")
    levels = []
    while True:
        blocks = [
            b"".join(digests[at : at + PER_BLOCK]).ljust(BLOCK_BYTES, b"\0") for at in range(0, len(digests), PER_BLOCK)
        ]
        levels.append(b"".join(blocks))
        if len(blocks) == 1:
            return levels
        digests = [_digest(salt, block) for block in blocks]
