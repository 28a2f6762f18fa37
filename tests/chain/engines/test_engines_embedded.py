"""The embedded engine makes CometBFT's blocks at the right pace with a small application."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from chain import slsbft
from chain.application.abci import BlockIDFlag, RequestInitChain
from chain.consensus.messages import Timeouts
from chain.crypto import ed25519
from chain.engines.handshake import run_again
from chain.engines.pace import Pace
from chain.errors import Faulty
from chain.wire.cometbft import Block
from tests.chain.engines.small_chain import (
    GENESIS,
    GENESIS_NS,
    KEYS,
    SmallApplication,
    SmallMempool,
    SmallStore,
    new_engine,
    run_to,
    set_power,
)

BRISK = Timeouts(propose_ms=10, prevote_ms=10, precommit_ms=10)


async def made(folder: Path, height: int, *txs: bytes) -> tuple[SmallApplication, SmallStore]:
    application, store = SmallApplication(), SmallStore()
    await run_to(new_engine(folder, application, store, SmallMempool(*txs)), height)
    return application, store


async def test_every_block_is_signed_by_all_and_linked_to_the_one_before(tmp_path: Path) -> None:
    _, store = await made(tmp_path, 8, b"one", b"two")
    for before, now in zip([None, *store.blocks], store.blocks, strict=False):
        header, commit = now.block.header, now.commit
        assert now.block_id == now.block.block_id()
        assert header.last_block_id.hash == (before.block_id.hash if before else b"")
        assert header.validators_hash == now.validators.hash()
        assert [s.flag for s in commit.signatures] == [2, 2, 2, 2]
        for index, (validator, signature) in enumerate(zip(now.validators, commit.signatures, strict=True)):
            signed = commit.vote_sign_bytes("small", index)
            assert ed25519.verify(validator.public, signed, signature.signature)
        if before is not None:
            assert now.block.last_commit == before.commit
            assert header.app_hash == before.results.app_hash
        assert Block.decode(now.block.encode()) == now.block


async def test_transactions_come_in_order_after_the_beacon_and_leave_the_mempool(tmp_path: Path) -> None:
    application, store, mempool = SmallApplication(), SmallStore(), SmallMempool(b"one", b"two")
    await run_to(new_engine(tmp_path, application, store, mempool), 2)
    assert store.blocks[0].block.txs == (b"beacon 1", b"one", b"two")
    assert store.blocks[1].block.txs == (b"beacon 2",)
    assert (mempool.waiting, mempool.updates[:2]) == ([], [1, 2])


async def test_the_proposer_is_the_one_that_the_beacon_draws(tmp_path: Path) -> None:
    application, store = await made(tmp_path, 12)
    ascending = sorted(v.address for v in store.blocks[0].validators)
    for each in store.blocks:
        header = each.block.header
        drawn = slsbft.proposer(application.beacon(header.height - 2), header.height, 0, 4)
        assert header.proposer_address == ascending[drawn]


async def test_a_block_is_judged_once_whoever_asks(tmp_path: Path) -> None:
    application, store = await made(tmp_path, 3)
    assert application.processed[:3] == [each.block_id.hash for each in store.blocks[:3]]


async def test_times_are_those_of_the_votes_and_always_grow(tmp_path: Path) -> None:
    application, store = SmallApplication(), SmallStore()
    clocks = iter([GENESIS_NS + 50] * 40)  # a clock that stands still
    await run_to(new_engine(tmp_path, application, store, now_ns=lambda: next(clocks, GENESIS_NS - 10**12)), 6)
    times = [each.block.header.time_ns for each in store.blocks]
    assert times[0] == GENESIS_NS
    assert all(later - earlier >= 1_000_000 for earlier, later in pairwise(times))


async def test_the_application_hears_the_last_commit(tmp_path: Path) -> None:
    application, _ = await made(tmp_path, 3)
    assert application.finalized[0].decided_last_commit.votes == ()
    votes = application.finalized[1].decided_last_commit.votes
    assert [v.block_id_flag for v in votes] == [BlockIDFlag.COMMIT] * 4


async def test_validator_updates_are_in_force_two_heights_later(tmp_path: Path) -> None:
    _, store = await made(tmp_path, 5, set_power(KEYS[4], 3), set_power(KEYS[0], 0))
    powers = [{v.public: v.power for v in each.validators} for each in store.blocks]
    before = {key.public.x: 1 for key in KEYS[:4]}
    after = {KEYS[4].public.x: 3, **{key.public.x: 1 for key in KEYS[1:4]}}
    assert powers[:2] == [before, before]
    assert powers[2:5] == [after, after, after]
    assert store.blocks[1].block.header.next_validators_hash == store.blocks[2].validators.hash()


async def test_without_the_keys_of_two_thirds_the_engine_says_so(tmp_path: Path) -> None:
    with pytest.raises(Faulty) as refusal:
        await run_to(new_engine(tmp_path, SmallApplication(), SmallStore(), keys=KEYS[:2]), 1)
    assert refusal.value.code == "home_invalid"


async def test_three_of_four_keys_are_enough(tmp_path: Path) -> None:
    application, store = SmallApplication(), SmallStore()
    ascending = sorted(KEYS[:4], key=lambda key: key.public.x)
    engine = new_engine(tmp_path, application, store, keys=ascending[:3])
    engine._table = replace(engine._table, timeouts=BRISK)
    await run_to(engine, 6)
    assert sorted({sum(s.flag == 2 for s in each.commit.signatures) for each in store.blocks}) == [3]
    assert any(each.commit.round > 0 for each in store.blocks)


# Pace

INTERVAL = Pace(block_interval_ms=10, empty_block_interval_ms=60_000)


async def test_an_idle_chain_waits_and_a_transaction_wakes_it_for_two_blocks(tmp_path: Path) -> None:
    application, store, mempool = SmallApplication(), SmallStore(), SmallMempool()
    engine = new_engine(tmp_path, application, store, mempool, pace=INTERVAL)
    running = asyncio.create_task(engine.run())
    await engine.wait_for_height(1)  # the initial height is due whether anybody waits or not
    assert await still_at(engine.wait_for_height(2))
    mempool.add(b"wake")
    await engine.wait_for_height(3)  # the transaction, and the proof block whose header has the new app hash
    assert store.blocks[2].block.header.app_hash == application.app_hash
    assert await still_at(engine.wait_for_height(4))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    engine.close()
    assert [len(each.block.txs) for each in store.blocks] == [1, 2, 1]


async def still_at(wait: object) -> bool:
    try:
        await asyncio.wait_for(wait, 0.15)  # type: ignore[arg-type]
    except TimeoutError:
        return True
    return False


async def test_an_idle_chain_makes_an_empty_block_after_its_interval(tmp_path: Path) -> None:
    application, store = SmallApplication(), SmallStore()
    await run_to(new_engine(tmp_path, application, store, pace=Pace(1, 20)), 3)
    assert {each.block.header.app_hash for each in store.blocks} == {application.app_hash}


async def test_blocks_do_not_come_faster_than_the_interval(tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    begun = clock()
    await run_to(new_engine(tmp_path, SmallApplication(), SmallStore(), pace=Pace(20, 20)), 5)
    assert clock() - begun >= 5 * 0.02


# Bad blocks


async def test_a_proposal_that_the_application_refuses_is_not_decided(tmp_path: Path) -> None:
    application, store, mempool = SmallApplication(), SmallStore(), SmallMempool(b"invalid")
    engine = new_engine(tmp_path, application, store, mempool)
    engine._table = replace(engine._table, timeouts=BRISK)
    running = asyncio.create_task(engine.run())
    assert await still_at(engine.wait_for_height(1))
    mempool.update(0, [b"invalid"])
    await engine.wait_for_height(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    engine.close()
    assert store.blocks[0].commit.round > 0
    assert store.blocks[0].block.txs == (b"beacon 1",)


# Handshake


async def test_a_restart_goes_on_where_the_chain_stands(tmp_path: Path) -> None:
    application, store = await made(tmp_path, 3, b"one")
    height = len(store.blocks)
    await run_to(new_engine(tmp_path, application, store), height + 2)
    assert [each.block.header.height for each in store.blocks] == list(range(1, len(store.blocks) + 1))
    assert application.begun == 1


async def test_a_saved_block_that_was_not_committed_is_run_again(tmp_path: Path) -> None:
    application, store = await made(tmp_path, 3, b"one")
    behind = SmallApplication()
    for each in range(1, len(store.blocks)):
        behind = replayed(behind, store, each)
    engine = new_engine(tmp_path, behind, store)
    assert (behind.height, behind.app_hash) == (application.height, application.app_hash)
    assert behind.finalized[-1] == application.finalized[-1]
    engine.close()


def replayed(application: SmallApplication, store: SmallStore, height: int) -> SmallApplication:
    if application.height == 0:
        application.init_chain(
            RequestInitChain(GENESIS.time_ns, GENESIS.chain_id, GENESIS.validators, GENESIS.app_state_bytes)
        )
    run_again(application, store, store.blocks[height - 1])
    return application


async def test_an_application_that_answers_otherwise_halts_the_node(tmp_path: Path) -> None:
    application, store = await made(tmp_path, 2, b"one")
    last = store.blocks[-1]
    application.app_hash = b"x" * 32
    with pytest.raises(Faulty):
        new_engine(tmp_path, application, store)
    application.height = last.block.header.height - 1
    with pytest.raises(Faulty):
        new_engine(tmp_path, application, store)


async def test_blocks_without_a_sign_state_halt_the_node(tmp_path: Path) -> None:
    application, store = await made(tmp_path / "home", 2)
    with pytest.raises(Faulty) as refusal:
        new_engine(tmp_path / "elsewhere", application, store)
    assert refusal.value.code == "state_corrupt"


async def test_a_state_without_blocks_halts_the_node(tmp_path: Path) -> None:
    application, _ = await made(tmp_path, 2)
    with pytest.raises(Faulty):
        new_engine(tmp_path, application, SmallStore())
