"""Power cuts at every moment that matters, and SIGKILL at any: the chain goes on and no key contradicts itself."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import chain.engines.ballot
from tests.chain.engines.small_chain import (
    Crash,
    Disk,
    Fuse,
    SmallApplication,
    SmallMempool,
    SmallStore,
    Witness,
    new_engine,
    run_to,
)

HEIGHTS = 3
TXS = (b"one", b"two")


class World:
    """What survives crashes, and the one who heard everything."""

    def __init__(self, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.application = SmallApplication()
        self.store = SmallStore()
        self.disk = Disk(Fuse(), random.Random(seed))
        self.witness = Witness()
        monkeypatch.setattr(chain.engines.ballot, "Core", self.witness.core_class())

    async def live(self, height: int, blow_at: int | None = None) -> int:
        """Runs to a height, or to the crash, after which only durable bytes are left; returns the moments passed."""
        fuse = Fuse(blow_at)
        self.application.fuse = self.store.fuse = self.disk.fuse = fuse
        done = {tx for each in self.store.blocks for tx in each.block.txs}
        mempool = SmallMempool(*(tx for tx in TXS if tx not in done))
        try:
            await run_to(new_engine(self.folder, self.application, self.store, mempool, sync=self.disk.sync), height)
        except Crash:
            self.disk.power_cut(self.folder)
        return fuse.count

    def check(self) -> None:
        assert self.witness.contradictions == []
        assert [each.block.header.height for each in self.store.blocks] == list(range(1, len(self.store.blocks) + 1))
        included = [tx for each in self.store.blocks for tx in each.block.txs if not tx.startswith(b"beacon")]
        assert included == list(TXS)
        for before, now in zip(self.store.blocks, self.store.blocks[1:], strict=False):
            assert now.block.header.last_block_id == before.block_id
            assert now.block.header.app_hash == before.state.app_hash
        assert self.application.height == len(self.store.blocks)


async def test_a_power_cut_at_every_moment_of_the_first_heights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = World(tmp_path / "undisturbed", 0, monkeypatch)
    moments = await undisturbed.live(HEIGHTS)
    undisturbed.check()
    assert moments > 40
    for moment in range(1, moments + 1):
        world = World(tmp_path / str(moment), moment, monkeypatch)
        await world.live(HEIGHTS, blow_at=moment)
        await world.live(HEIGHTS + 2)
        world.check()


async def test_power_cuts_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(25):
        dice = random.Random(seed)
        world = World(tmp_path / str(seed), seed, monkeypatch)
        for _ in range(12):
            await world.live(10**6, blow_at=dice.randint(1, 25))
        await world.live(len(world.store.blocks) + 3)
        world.check()


async def test_the_witness_hears_a_contradiction_when_the_sign_state_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = 0
    for moment in range(1, 20):
        world = World(tmp_path / str(moment), moment, monkeypatch)
        await world.live(1, blow_at=moment)
        for path in world.folder.iterdir():
            path.unlink()
        if not world.store.blocks:
            world.application = SmallApplication()
            mempool = SmallMempool(b"something else")
            await run_to(new_engine(world.folder, world.application, world.store, mempool), 1)
            heard += len(world.witness.contradictions)
    assert heard > 0


async def test_a_lost_log_sends_everybody_to_a_fresh_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = []
    for moment in range(1, 20):
        world = World(tmp_path / str(moment), moment, monkeypatch)
        await world.live(1, blow_at=moment)
        if world.store.blocks:
            break
        (world.folder / "height_log").write_bytes(b"")
        await world.live(3)
        world.check()
        later.append(world.store.blocks[0].commit.round)
    assert max(later) > 0
