"""Random lives of a chain: the supply never changes by a unit, and the same blocks give the same state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.ledger.machine import BlockInput, execute_block, init_chain
from chain.ledger.parameters import _FRACTIONS, _WHOLE, Parameters
from chain.wire.transactions import ANKR, BEACON, TYPES, decode
from tests.chain.ledger.lives import KINDS, PEOPLE, RICH, Step, steps, transaction
from tests.chain.ledger.world import DictState, World

flags = st.tuples(*[st.sampled_from((1, 2, 2, 2, 3))] * 4)
blocks = st.tuples(st.lists(steps, max_size=6), st.integers(0, 7), flags, st.integers(0, 3))


def split(total: int, parts: int) -> st.SearchStrategy[tuple[int, ...]]:
    """`parts` numbers that add up to `total`."""
    cuts = st.lists(st.integers(0, total), min_size=parts - 1, max_size=parts - 1).map(sorted)
    return cuts.map(lambda at: tuple(b - a for a, b in zip([0, *at], [*at, total], strict=True)))


@st.composite
def any_parameters(draw: st.DrawFn) -> Parameters:
    """Whatever the genesis may say of money, in epochs short enough for a life to hold some."""
    values: dict[str, int] = {}
    for group in _WHOLE:
        values |= zip(group, draw(split(1_000, len(group))), strict=True)
    values |= {name: draw(st.integers(0, 1_000)) for name in _FRACTIONS}
    proposer, precommits, _ = draw(split(1_000, 3))
    values |= {"fee_proposer_permille": proposer, "fee_precommits_permille": precommits}
    values |= {"deal_fee_bp": draw(st.integers(0, 10_000)), "deal_fee_on_top": draw(st.integers(0, 1))}
    slashes = ("double_sign_slash_ppm", "downtime_slash_ppm", "withheld_slash_ppm", "false_batch_slash_ppm")
    values |= {name: draw(st.integers(0, 1_000_000)) for name in slashes}
    values |= {
        "transaction_fee_atto": draw(st.integers(0, 5 * ANKR)),
        "emission_horizon_h": draw(st.integers(1, 10**6)),
    }
    values |= {"min_deal_atto": draw(st.integers(0, 10**18)), "bridge_daily_limit_atto": draw(st.integers(0, 10**22))}
    values |= {name: draw(st.integers(1, 6)) for name in ("credits_per_block", "unbonds_per_block")}
    short = {"election_epoch_s": 7, "unbonding_s": 5, "downtime_window_blocks": 6, "min_service_level": 0}
    return replace(Parameters.demo(), candidate_age_election_epochs=0, **short, **values)


@settings(max_examples=60, deadline=None)
@given(st.lists(blocks, max_size=12), any_parameters())
def test_under_any_parameters_no_unit_is_made_or_lost(
    life: list[tuple[list[Step], int, tuple[int, ...], int]], parameters: Parameters
) -> None:
    world = World(parameters, grants=[(name, 300 * ANKR) for name in PEOPLE[:3]] + [(RICH, 10**7 * ANKR)])
    for contents, after_s, _, _ in life:
        ahead: dict[str, int] = {}
        world.block(*(transaction(world, step, ahead) for step in contents), after_s=after_s)  # counts the supply


@settings(max_examples=60, deadline=None)
@given(st.lists(blocks, max_size=12), st.integers(1, 6))
def test_no_unit_is_made_or_lost_and_every_replay_agrees(
    life: list[tuple[list[Step], int, tuple[int, ...], int]], portion: int
) -> None:
    grants = [(name, 300 * ANKR + number) for number, name in enumerate(PEOPLE[:3])] + [(RICH, 10**7 * ANKR)]
    short = {"election_epoch_s": 7, "unbonding_s": 5, "downtime_window_blocks": 6}
    easy = {"candidate_age_election_epochs": 0, "min_service_level": 0}
    parameters = replace(Parameters.demo(), credits_per_block=portion, unbonds_per_block=portion, **short, **easy)
    world = World(parameters, grants=grants)
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


def test_random_lives_hold_every_type_of_transaction() -> None:
    world = World()
    world.block()
    types = set()
    for kind in KINDS:
        if kind != "noise":
            types.add(decode(transaction(world, (kind, "alice", 2, 10), {})).type)
    assert types == set(TYPES) - {BEACON}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_random_bytes_never_halt_a_block(garbage: list[bytes]) -> None:
    world = World()
    output = world.block(*garbage)
    assert all(result.code and not result.charged for result in output.results)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from((*TYPES, 255)),
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
    assert all(key.startswith((b"account/", b"supply", b"participation", b"signing")) for key in changed)
