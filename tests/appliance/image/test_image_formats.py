"""Partition tables, hash trees and kernel images as bytes."""

from __future__ import annotations

import hashlib
import io
import struct
import uuid
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance import uki, verity
from appliance.image import disk, gpt, profile
from chain.errors import Malformed, Refused
from tests.appliance.smallest_stub import stub

SALT = b"\1" * 32


@pytest.mark.parametrize("name", profile.names())
def test_a_disks_table_reads_back_and_its_partitions_do_not_overlap(name: str) -> None:
    placed = disk.layout(profile.load(name))
    sectors = gpt.disk_sectors(placed)
    file = io.BytesIO()
    gpt.write(file, placed, sectors, uuid.UUID(int=1))
    assert gpt.read(file) == placed
    assert [each.label for each in placed] == ["esp", "root-a", "hash-a", "root-b", "hash-b", "DCCNCFG"]
    for left, right in pairwise(placed):
        assert left.start + left.sectors <= right.start and right.start % gpt.ALIGNED_SECTORS == 0
    assert len(file.getvalue()) == sectors * gpt.SECTOR_BYTES


@given(st.integers(0, 2 * gpt.SECTOR_BYTES - 1), st.integers(1, 255))
def test_a_damaged_table_is_no_table(at: int, change: int) -> None:
    file = io.BytesIO()
    placed = gpt.place([gpt.Wanted("a", gpt.BASIC_DATA, 1)], uuid.UUID(int=2))
    gpt.write(file, placed, gpt.disk_sectors(placed), uuid.UUID(int=1))
    data = bytearray(file.getvalue())
    data[gpt.SECTOR_BYTES + at] ^= change
    # The header's own bytes and the first entries are covered by checksums; the header's padding is not.
    covered = at < 92 or at >= gpt.SECTOR_BYTES
    assert (gpt.read(io.BytesIO(bytes(data))) == []) == covered


def test_a_hash_tree_is_the_one_that_veritysetup_makes() -> None:
    # veritysetup format --salt=01…01 --uuid=00000000-0000-0000-0000-000000000000, cryptsetup 2.6.1, over these blocks.
    data = b"".join(struct.pack("<I", number) * 1024 for number in range(300))
    area, root = verity.build(io.BytesIO(data), 300, SALT)
    assert len(area) == verity.hash_area_bytes(300) == 5 * verity.BLOCK_BYTES
    verity.verify(io.BytesIO(data), io.BytesIO(area), root)
    assert root.hex() == "bec20b0b46d7557be9cdb8117be81dc086f7114bb7e2bed884db3426b7e2bd29"


@given(st.integers(0, 20 * verity.BLOCK_BYTES - 1), st.integers(1, 255))
def test_any_changed_byte_of_the_data_is_found(at: int, change: int) -> None:
    data = bytearray(20 * verity.BLOCK_BYTES)
    area, root = verity.build(io.BytesIO(data), 20, SALT)
    data[at] ^= change
    with pytest.raises(Refused, match="root hash"):
        verity.verify(io.BytesIO(data), io.BytesIO(area), root)


@given(st.integers(1, 300), st.binary(max_size=40))
def test_a_tree_gives_out_the_digest_of_every_block(blocks: int, salt: bytes) -> None:
    data = [struct.pack("<I", number) * 1024 for number in range(blocks)]
    area, root = verity.build(io.BytesIO(b"".join(data)), blocks, salt)
    header, digests = verity.leaves(area, root)
    assert (header.data_blocks, header.salt) == (blocks, salt)
    assert digests == b"".join(hashlib.sha256(salt + block).digest() for block in data)


@given(st.integers(0, 5 * verity.BLOCK_BYTES - 1), st.integers(1, 255))
@example(72, 1).via("one block more, in a tree of the same size")
@example(72, 4).via("four blocks fewer")
def test_a_tree_with_any_changed_byte_gives_out_nothing(at: int, change: int) -> None:
    area, root = verity.build(io.BytesIO(bytes(300 * verity.BLOCK_BYTES)), 300, SALT)
    changed = bytearray(area)
    changed[at] ^= change
    if at >= verity.BLOCK_BYTES:
        with pytest.raises(Refused, match="does not lead to"):
            verity.leaves(bytes(changed), root)
    elif 16 <= at < 32 or at >= 88 + len(SALT) or 82 <= at < 88:
        assert verity.leaves(bytes(changed), root)[1], "a uuid and padding, which decide nothing"
    else:
        with pytest.raises((Malformed, Refused)):
            verity.leaves(bytes(changed), root)


def test_a_tree_of_no_or_of_endless_data_is_refused() -> None:
    for blocks in (0, 2**63):
        with pytest.raises(Malformed, match="hash area"):
            verity.leaves(verity.Superblock(blocks, b"").encode().ljust(verity.BLOCK_BYTES, b"\0"), bytes(32))


def test_a_changed_tree_and_a_cut_one_are_found() -> None:
    data = bytes(20 * verity.BLOCK_BYTES)
    area, root = verity.build(io.BytesIO(data), 20, SALT)
    changed = area[:-1] + b"\1"
    with pytest.raises(Refused, match="hash tree"):
        verity.verify(io.BytesIO(data), io.BytesIO(changed), root)
    with pytest.raises(Malformed):
        verity.verify(io.BytesIO(data), io.BytesIO(area[:100]), root)


def test_a_kernel_image_holds_what_was_put_in_and_no_time() -> None:
    parts = {".linux": b"L" * 5000, ".cmdline": b"ro\0", ".initrd": b"I" * 700, ".osrel": b"ID=dccn\n"}
    image = uki.build(stub(), parts)
    assert image == uki.build(stub(), dict(reversed(parts.items())))
    assert [each.name for each in uki.sections_of(image)] == [".text", ".osrel", ".cmdline", ".initrd", ".linux"]
    assert {name: uki.content(image, name) for name in parts} == parts
    assert all(each.address % 4096 == 0 for each in uki.sections_of(image))
    assert image[0x88:0x8C] == bytes(4) and uki.content(image, ".none") is None


def test_a_kernel_image_names_its_root_and_its_system() -> None:
    parts = {".cmdline": b"ro dccn.roothash=" + b"0a" * 32 + b"\0", ".osrel": b'ID=dccn\nPRETTY_NAME="dccn 2"\n'}
    image = uki.build(stub(), parts)
    assert uki.root_hash(image) == b"\x0a" * 32
    assert uki.os_release(image) == {"ID": "dccn", "PRETTY_NAME": "dccn 2"}
    for line in (b"ro\0", b"dccn.roothash=0a\0", b" ".join([b"dccn.roothash=" + b"0a" * 32] * 2)):
        with pytest.raises(Malformed, match="one root hash"):
            uki.root_hash(uki.build(stub(), {".cmdline": line}))


def test_a_stub_without_room_or_that_is_none_is_refused() -> None:
    with pytest.raises(Malformed, match="room"):
        uki.build(stub(512), {".linux": b"", ".initrd": b"", ".uname": b""})
    for wrong in (b"", b"MZ", b"ELF" + bytes(100)):
        with pytest.raises(Malformed):
            uki.build(wrong, {".linux": b""})
