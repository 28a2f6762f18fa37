"""A chain without transactions stands still between boundaries, and what happened meanwhile is handed in later."""

from __future__ import annotations

from dataclasses import replace

from chain.ledger.participation import PARTICIPATION_KEY, Participation
from chain.wire.transactions import ANKR, transfer
from tests.chain.ledger.world import World, account


def test_an_idle_block_touches_nothing() -> None:
    world = World()
    world.block()
    before, writes = dict(world.state.entries), world.state.writes
    for _ in range(4):
        output = world.block()
        assert not output.touches_state and output.events == () and output.results == ()
    assert (world.state.entries, world.state.writes) == (before, writes)


def test_an_idle_block_must_not_need_the_participation_of_earlier_ones() -> None:
    world = World()
    world.block()
    idle = replace(world.block_input(), meta=((world.validator("operator-1"), 3),))
    assert not world.run(idle).touches_state


def test_participation_of_idle_blocks_folds_into_the_next_block_that_counts() -> None:
    world = World(grants=[("alice", 1_000 * ANKR)])
    world.block()
    pending = tuple((world.validator(name), 5) for name in world.operators[:2])
    world.run(replace(world.block_input([world.sign("alice", transfer(account("bob"), 1))]), meta=pending))
    data = world.state.get(PARTICIPATION_KEY)
    assert data is not None
    counts = dict(Participation.decode(data).counts)
    assert [counts[account(name)] for name in world.operators] == [6, 6, 1, 1]


def test_absent_and_nil_precommits_earn_nothing() -> None:
    world = World(grants=[("alice", 1_000 * ANKR)])
    world.block()
    flags = tuple(zip((world.validator(name) for name in world.operators), (2, 1, 3, 2), strict=True))
    block = world.block_input([world.sign("alice", transfer(account("bob"), 1))])
    world.run(replace(block, precommits=flags))
    expected = dict(zip(world.operators, (3 * ANKR // 4, 0, 0, 3 * ANKR // 4), strict=True))
    expected[world.operators[world.height % 4]] += 5 * ANKR // 2
    assert {name: world.balance(name) for name in world.operators} == expected


def test_a_block_that_begins_an_epoch_touches_the_state_without_transactions() -> None:
    world = World()
    assert world.block().touches_state
    assert not world.block(after_s=2).touches_state
    assert world.block(after_s=1).touches_state
