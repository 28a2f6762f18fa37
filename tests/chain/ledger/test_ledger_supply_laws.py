"""Random lives of a chain: the supply never changes by a unit, and the same blocks give the same state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.ledger.machine import BlockInput, execute_block, init_chain
from chain.ledger.parameters import Parameters
from chain.wire.bodies import BatchEntry
from chain.wire.transactions import ANKR, pog_commit, sponsor, transfer
from tests.chain.ledger.world import CHAIN, DictState, World, account

PEOPLE = ("alice", "bob", "carol", "dave")

transfers = st.tuples(st.just("transfer"), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.integers(0, 10**21))
gifts = st.tuples(st.just("sponsored"), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.integers(0, 10**18))
devices = st.tuples(st.just("register"), st.sampled_from(PEOPLE), st.integers(0, 5), st.just(0))
batches = st.tuples(st.just("batch"), st.sampled_from(PEOPLE), st.integers(-2, 1), st.integers(0, 10**6))
commits = st.tuples(st.just("commit"), st.just("hub"), st.integers(0, 30), st.just(0))
noise = st.tuples(st.just("noise"), st.just("alice"), st.binary(max_size=40), st.just(0))
steps = st.one_of(transfers, gifts, devices, batches, commits, noise)
flags = st.tuples(*[st.sampled_from((1, 2, 2, 2, 3))] * 4)
blocks = st.tuples(st.lists(steps, max_size=5), st.integers(0, 7), flags, st.integers(0, 3))


def transaction(world: World, step: tuple[str, Any, Any, Any], ahead: dict[str, int]) -> bytes:
    kind, name, what, amount = step
    sender = "hub" if kind in ("batch", "commit") else name
    place = ahead.get(sender, 0)
    ahead[sender] = place + 1
    match kind:
        case "transfer":
            return world.sign(name, transfer(account(what), amount), ahead=place, fee=5 * ANKR + amount % 9).encode()
        case "sponsored":
            signed = world.sign(name, transfer(account(what), amount), ahead=place, fee_payer=world.hub.public)
            return sponsor(signed, world.hub, CHAIN).encode()
        case "register":
            return world.register(name, f"box-{what}", ahead=place).encode()
        case "batch":
            entry = BatchEntry(account(name), 3, 3, amount % 3, amount % 2, amount % 500, amount)
            return world.batch(max(0, world.epoch + what), entry, ahead=place).encode()
        case "commit":
            return world.sign("hub", pog_commit(account("hub"), what, bytes(32), 1), ahead=place).encode()
    return bytes(what)


@settings(max_examples=60, deadline=None)
@given(st.lists(blocks, max_size=12), st.integers(1, 6))
def test_no_unit_is_made_or_lost_and_every_replay_agrees(
    life: list[tuple[list[Any], int, tuple[int, ...], int]], portion: int
) -> None:
    grants = [(name, 300 * ANKR + number) for number, name in enumerate(PEOPLE[:3])]
    world = World(replace(Parameters.demo(), credits_per_block=portion, election_epoch_s=7), grants=grants)
    log: list[BlockInput] = []
    for contents, after_s, row, idle in life:
        ahead: dict[str, int] = {}
        block = world.block_input([transaction(world, step, ahead) for step in contents], after_s)
        validators = [world.validator(name) for name in world.operators]
        precommits = tuple(zip(validators, row, strict=True)) if world.height else ()
        block = replace(block, precommits=precommits, meta=tuple((validator, idle) for validator in validators if idle))
        log.append(block)
        world.run(block)  # counts the supply anew after every block
    again = DictState()
    init_chain(again, world.genesis)
    for block in log:
        execute_block(again, block)
    assert again.entries == world.state.entries


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_random_bytes_never_halt_a_block(garbage: list[bytes]) -> None:
    world = World()
    output = world.block(*garbage)
    assert all(result.code and not result.charged for result in output.results)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from((1, 9, 10, 24, 2, 255)),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**64), 2**128 - 1) | st.binary(max_size=40) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.integers(-3, 3), inner, max_size=4),
        max_leaves=25,
    ),
)
def test_signed_nonsense_of_every_type_is_refused_and_halts_nothing(kind: int, body: Any) -> None:
    world = World()
    world.block()
    content = body if isinstance(body, list) else [body]
    tx, before = world.sign("hub", (kind, content)), dict(world.state.entries)
    result = world.block(tx).results[0]
    assert result.code and result.error
    after = world.state.entries
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert all(key.startswith((b"account/", b"supply", b"participation")) for key in changed)
