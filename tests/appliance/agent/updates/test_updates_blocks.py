"""Blocks: taken from wherever they lie, fetched where they do not, and downloads that break off again and again."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import verity
from appliance.agent.updates import blocks
from appliance.agent.updates.blocks import GAP_BLOCKS, MOST_BLOCKS_AT_ONCE, BlockList, runs
from appliance.agent.updates.partition import Partition
from chain.errors import Faulty, Refused, Unavailable
from tests.appliance.agent.updates.test_updates_power_cuts import Story

BLOCK = verity.BLOCK_BYTES


def listed(data: bytes, salt: bytes = b"salt") -> BlockList:
    blocks = -(-len(data) // BLOCK)
    tree, root = verity.build(io.BytesIO(data.ljust(blocks * BLOCK, b"\0")), blocks, salt)
    header, digests = verity.leaves(tree, root)
    return BlockList(digests, header.salt, len(data))


class Slot:
    """A slot in memory, and a source that breaks off after a number of bytes."""

    def __init__(self, data: bytes, before: bytes = b"") -> None:
        self.data = data
        self.wanted = listed(data)
        self.held = bytearray(before.ljust(self.wanted.count * BLOCK, b"\0"))

    def write(self, offset: int, data: bytes) -> None:
        self.held[offset : offset + len(data)] = data

    def blocks(self) -> Iterator[bytes]:
        return (bytes(self.held[at : at + BLOCK]) for at in range(0, len(self.held), BLOCK))

    def fetch(self, patience: int) -> int:
        left = patience

        def pieces(offset: int, length: int) -> Iterator[bytes]:
            nonlocal left
            for at in range(offset, offset + length, 5000):
                piece = self.data[at : min(at + 5000, offset + length)][:left]
                left -= len(piece)
                yield piece
                if not left:
                    raise Unavailable("unreachable", "it broke off")

        return self.wanted.fetch(pieces, self.write, self.wanted.in_place(self.blocks()))

    @property
    def is_whole(self) -> bool:
        return bytes(self.held[: len(self.data)]) == self.data


@given(st.integers(1, 40 * BLOCK), st.integers(0, 999), st.lists(st.integers(1, 30 * BLOCK), max_size=6))
def test_a_download_that_breaks_off_anywhere_goes_on_where_it_was(size: int, seed: int, breaks: list[int]) -> None:
    slot = Slot(random.Random(seed).randbytes(size))
    for patience in breaks:
        before = sum(slot.wanted.in_place(slot.blocks()))
        try:
            slot.fetch(patience)
        except Unavailable:
            after = sum(slot.wanted.in_place(slot.blocks()))
            assert after > before or patience < (GAP_BLOCKS + 2) * BLOCK, "a line that breaks often gets somewhere"
    missing = slot.wanted.count - sum(slot.wanted.in_place(slot.blocks()))
    assert slot.fetch(1 << 30) <= missing * BLOCK
    assert slot.is_whole


@given(st.integers(0, 999), st.binary(min_size=20, max_size=20))
def test_blocks_that_lie_elsewhere_are_copied_and_not_fetched(seed: int, kinds: bytes) -> None:
    chance = random.Random(seed)
    own = [chance.randbytes(BLOCK) for _ in range(10)]
    content = b"".join(own[kind % 10] if kind < 200 else chance.randbytes(BLOCK) for kind in kinds)
    slot = Slot(content)
    done = slot.wanted.in_place(slot.blocks())
    here = b"".join(own)
    places = slot.wanted.elsewhere(iter(own), done)
    slot.wanted.copy(places, lambda offset, length: here[offset : offset + length], slot.write, done)
    assert sum(done) >= sum(kind < 200 for kind in kinds)
    slot.wanted.fetch(lambda offset, length: iter([content[offset : offset + length]]), slot.write, done)
    assert slot.is_whole and all(done)


def test_a_block_whose_digest_only_begins_like_another_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one byte to look by, every block looks like some other; with eight, an attacker could work for it."""
    monkeypatch.setattr(blocks, "PREFIX_BYTES", 1)
    chance = random.Random(1)
    here = [chance.randbytes(BLOCK) for _ in range(600)]
    content = b"".join([*here[100:200], *(chance.randbytes(BLOCK) for _ in range(50))])
    slot = Slot(content)
    places = slot.wanted.elsewhere(iter(here), bytearray(slot.wanted.count))
    assert places == {number: number + 100 for number in range(100)}


@given(st.lists(st.booleans(), max_size=700))
def test_every_missing_block_is_in_exactly_one_piece_and_few_others_are(flags: list[bool]) -> None:
    done = bytearray(flags)
    pieces = list(runs(done))
    covered = [number for first, last in pieces for number in range(first, last + 1)]
    assert len(covered) == len(set(covered))
    assert {number for number, flag in enumerate(flags) if not flag} <= set(covered)
    assert all(not done[first] and not done[last] and last - first < MOST_BLOCKS_AT_ONCE for first, last in pieces)
    assert sum(done[number] for number in covered) <= GAP_BLOCKS * len(covered)


def test_a_wrong_block_is_refused_and_the_right_ones_before_it_are_kept() -> None:
    data = random.Random(2).randbytes(10 * BLOCK)
    slot = Slot(data)
    wrong = data[: 6 * BLOCK] + b"x" + data[6 * BLOCK + 1 :]
    with pytest.raises(Refused, match="block 6 came with other content"):
        slot.wanted.fetch(lambda offset, length: iter([wrong[offset : offset + length]]), slot.write, bytearray(10))
    assert sum(slot.wanted.in_place(slot.blocks())) == 6


def test_what_an_earlier_release_left_in_the_other_slot_is_no_obstacle(tmp_path: Path) -> None:
    story = Story(tmp_path)
    disk = story.disk("garbage")
    for name in ("root-b", "hash-b"):
        path = disk.folder / name
        path.write_bytes(random.Random(name).randbytes(path.stat().st_size))
    disk.installer(story.own).install(story.offer)
    assert disk.contents().starts() == "2.0"


def test_a_disk_that_loses_what_was_written_to_it_is_found_out(tmp_path: Path) -> None:
    story = Story(tmp_path)
    disk = story.disk("forgetful")

    class Forgetful(Partition):
        def write(self, offset: int, data: bytes) -> None:
            super().write(offset, bytes(len(data)) if offset else data)

    installer = disk.installer(story.own)
    installer._open = Forgetful
    with pytest.raises(Faulty, match="is not what was written"):
        installer.install(story.offer)
    assert disk.contents().starts() == "1.0"


def test_a_release_that_is_larger_than_a_slot_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    story = Story(tmp_path)
    disk = story.disk("small")
    with (disk.folder / "root-b").open("r+b") as file:
        file.truncate(10 * BLOCK)
    before = disk.contents()
    with pytest.raises(Refused, match="the slot 40960"):
        disk.installer(story.own).install(story.offer)
    assert disk.contents() == before


def test_a_partition_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(Faulty, match="No such file"):
        Partition(tmp_path / "root-b", writable=True)
