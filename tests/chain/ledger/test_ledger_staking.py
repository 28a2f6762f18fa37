"""Bonds, keys and unbonding: what stake buys, and how it comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.ledger.elections import Frozen, frozen_key
from chain.ledger.factors import stake_held
from chain.ledger.operators import OPERATORS_KEY, Operators, operator_key, total_stake
from chain.ledger.overlay import Overlay
from chain.ledger.parameters import Parameters
from chain.ledger.seats import seated_keys
from chain.ledger.staking import age_after_bond
from chain.wire.operators import Operator
from chain.wire.staking import ProducerKeys, Registration, add_key, bond, prove_keys, rotate_key, unbond, unjail
from chain.wire.transactions import ANKR, transfer
from tests.chain.ledger.world import CHAIN, FEE, World, account, key, perfect

MIN = 100_000 * ANKR


def keys_of(name: str, place: str = "consensus") -> ProducerKeys:
    """Proven keys of the operator `name`."""
    return prove_keys(CHAIN, account(name), key(f"{name} {place}"), key(f"{name} {place} vrf").secret)


def registration(name: str) -> Registration:
    return Registration(name, keys_of(name))


def operator(world: World, name: str) -> Operator:
    return Operator.decode(world.state.entries[operator_key(account(name))])


def listed(world: World) -> tuple[bytes, ...]:
    return Operators.decode(world.state.entries[OPERATORS_KEY]).addresses


@pytest.fixture
def world() -> World:
    world = World(grants=[("carol", 2 * MIN), ("poor", 100 * ANKR)])
    world.block()
    return world


def test_a_first_bond_registers_the_operator_with_its_keys(world: World) -> None:
    before = world.supply()
    assert world.block(world.sign("carol", bond(MIN, registration("carol")))).results[0].ok
    entry = operator(world, "carol")
    assert (entry.name, entry.bond_atto, entry.genesis, entry.jailed) == ("carol", MIN, False, False)
    assert entry.keys == ((key("carol consensus").public.x, keys_of("carol").vrf),)
    assert world.balance("carol") == MIN - FEE
    assert world.supply().bonds_atto - before.bonds_atto == MIN
    assert account("carol") in listed(world)
    assert total_stake(Overlay(world.state)) == 5 * MIN


def test_a_small_bond_is_stake_but_no_candidate(world: World) -> None:
    assert world.block(world.sign("poor", bond(50 * ANKR, Registration("poor", None)))).results[0].ok
    assert operator(world, "poor").bond_atto == 50 * ANKR
    assert account("poor") not in listed(world) and total_stake(Overlay(world.state)) == 4 * MIN


def test_keys_can_follow_the_bond_and_make_a_candidate(world: World) -> None:
    world.block(world.sign("carol", bond(MIN, Registration("carol", None))))
    assert account("carol") not in listed(world)
    assert world.block(world.sign("carol", add_key(keys_of("carol")))).results[0].ok
    assert account("carol") in listed(world)


def test_what_a_bond_is_refused_for(world: World) -> None:
    good = keys_of("carol")
    stolen = keys_of("operator-1", "consensus")
    for content, error in (
        (bond(MIN), "malformed"),
        (bond(3 * MIN, registration("carol")), "tx_insufficient_funds"),
        (bond(MIN, Registration("carol", stolen)), "tx_known_key"),
        (bond(MIN, Registration("carol", keys_of("other"))), "bad_signature"),
        (bond(MIN, Registration("carol", good._replace(consensus_signature=bytes(64)))), "bad_signature"),
        (bond(MIN, Registration("carol", good._replace(vrf_proof=bytes(80)))), "bad_signature"),
        (bond(MIN, Registration("carol", good._replace(vrf=bytes(32)))), "bad_key"),
        (bond(MIN, Registration("", good)), "malformed"),
        ((3, [0, None]), "malformed"),
    ):
        assert world.block(world.sign("carol", content)).results[0].error == error
    assert operator_key(account("carol")) not in world.state.entries
    assert world.block(world.sign("carol", bond(MIN, registration("carol")))).results[0].ok
    assert world.block(world.sign("carol", bond(1, registration("carol")))).results[0].error == "malformed"


def test_two_operators_cannot_share_a_vrf_key(world: World) -> None:
    shared = key("carol consensus vrf").secret
    world.block(world.sign("carol", bond(MIN, registration("carol"))))
    keys = prove_keys(CHAIN, account("operator-1"), key("fresh"), shared)
    assert world.block(world.sign("hub", transfer(account("operator-1"), 10 * FEE))).results[0].ok
    assert world.block(world.sign("operator-1", add_key(keys))).results[0].error == "tx_known_key"


def test_new_stake_brings_no_age_and_old_stake_keeps_its_own() -> None:
    full = 30 * 86_400
    for held, age, added in ((MIN, full, MIN), (MIN, 5 * full, 9 * MIN), (MIN, full // 3, 1), (1, full, MIN)):
        before = stake_held(held, age, full)
        after = stake_held(held + added, age_after_bond(held, age, added, full), full)
        assert before - (held + added) // full - 1 <= after <= before


def test_unbonded_stake_waits_its_period_and_is_paid_at_a_boundary(world: World) -> None:
    period_s = world.parameters.unbonding_s
    world.block(world.sign("carol", bond(MIN, registration("carol"))))
    assert world.block(world.sign("carol", unbond(MIN // 2))).results[0].ok
    assert operator(world, "carol").bond_atto == MIN // 2 and account("carol") not in listed(world)
    balance, total = world.balance("carol"), world.supply().bonds_atto
    world.block(after_s=period_s - 1)
    assert world.balance("carol") == balance and world.supply().bonds_atto == total
    world.next_epoch()
    assert world.balance("carol") == balance + MIN // 2
    assert world.supply().bonds_atto == total - MIN // 2
    assert operator(world, "carol").unbonding == ()


def test_many_unbondings_are_paid_over_several_blocks_each_of_which_touches_the_state() -> None:
    world = World(replace(Parameters.demo(), unbonds_per_block=2), grants=[("carol", 2 * MIN)])
    world.block()
    world.block(world.sign("carol", bond(MIN, registration("carol"))))
    world.block(*(world.sign("carol", unbond(ANKR), ahead=n) for n in range(5)))
    before = world.balance("carol")
    paid = []
    output = world.block(after_s=world.parameters.unbonding_s)
    for _ in range(4):
        paid.append((world.balance("carol") - before, output.touches_state))
        output = world.block()
    assert paid == [(2 * ANKR, True), (4 * ANKR, True), (5 * ANKR, True), (5 * ANKR, False)]


def test_what_unbonding_is_refused_for(world: World) -> None:
    assert world.block(world.sign("poor", unbond(1))).results[0].error == "tx_unknown_operator"
    world.block(world.sign("carol", bond(MIN, registration("carol"))))
    assert world.block(world.sign("carol", unbond(MIN + 1))).results[0].error == "tx_insufficient_funds"
    results = world.block(*(world.sign("carol", unbond(1), ahead=n) for n in range(17))).results
    assert [result.error for result in results] == [""] * 16 + ["tx_limit"]


def test_a_rotated_key_takes_over_its_seat_and_is_never_free_again(world: World) -> None:
    world.block(world.sign("hub", transfer(account("operator-1"), 10 * FEE)))
    old = key("operator-1 consensus").public.x
    fresh = keys_of("operator-1", "second")
    output = world.block(world.sign("operator-1", rotate_key(0, fresh)))
    assert output.results[0].ok
    assert output.validator_updates == ((old, 0), (fresh.consensus, world.parameters.validator_power))
    assert fresh.consensus in seated_keys(world.state) and old not in seated_keys(world.state)
    world.block(after_s=1)  # late precommits of the old key still count for its operator
    again = prove_keys(CHAIN, account("operator-1"), key("operator-1 consensus"), key("third").secret)
    assert world.block(world.sign("operator-1", add_key(again))).results[0].error == "tx_known_key"
    assert world.block(world.sign("operator-1", rotate_key(7, again))).results[0].error == "malformed"


def test_a_free_key_rotates_without_an_update(world: World) -> None:
    world.block(world.sign("carol", bond(MIN, registration("carol"))))
    output = world.block(world.sign("carol", rotate_key(0, keys_of("carol", "second"))))
    assert output.results[0].ok and output.validator_updates == ()


def test_nobody_leaves_jail_who_is_not_in_it(world: World) -> None:
    assert world.block(world.sign("poor", unjail())).results[0].error == "tx_unknown_operator"
    world.block(world.sign("carol", bond(MIN, registration("carol"))))
    assert world.block(world.sign("carol", unjail())).results[0].error == "tx_jailed"


def test_a_perfect_newcomer_becomes_electable_within_its_first_election_epochs() -> None:
    """From an empty account to a seat, by transactions alone: register, work, bond, be frozen, be drawn."""
    world = World(replace(Parameters.demo(), election_epoch_s=30), grants=[("carol", 2 * MIN)])
    world.block()
    world.block(world.register("carol", "box"), world.sign("carol", bond(MIN, registration("carol")), ahead=1))
    seated_in = frozen_for = None
    while seated_in is None and world.epoch < 70:
        updates = world.next_epoch(world.batch(world.epoch, perfect("carol"))).validator_updates
        election_epoch = world.epoch * 3 // 30
        data = world.state.get(frozen_key(election_epoch + 2))
        if frozen_for is None and data is not None:
            names = [candidate.operator for candidate in Frozen.decode(data).candidates]
            frozen_for = election_epoch if account("carol") in names else None
        if (keys_of("carol").consensus, world.parameters.validator_power) in updates:
            seated_in = election_epoch
    # Registered in epoch 0: a candidate when epoch 2 has ended, seated for epoch 5 by the beacon that ends epoch 3.
    assert (frozen_for, seated_in) == (3, 5)


def test_without_enough_stake_work_is_not_paid() -> None:
    world = World(replace(Parameters.demo(), min_provider_stake_atto=ANKR), grants=[("carol", 100 * ANKR)])
    world.block()
    world.block(world.register("carol", "box"), world.register("dave", "box-2"))
    world.block(world.sign("carol", bond(ANKR, Registration("carol", None))))
    before = world.balance("carol")
    world.next_epoch()
    world.block(world.batch(0, perfect("carol"), perfect("dave")))
    world.next_epoch()
    world.next_epoch()
    assert world.balance("carol") > before and world.balance("dave") == 0


def test_a_key_of_another_chain_or_operator_does_not_register(world: World) -> None:
    for keys in (
        prove_keys("other-chain", account("carol"), key("c"), key("v").secret),
        prove_keys(CHAIN, account("poor"), key("c"), key("v").secret),
    ):
        content = bond(MIN, Registration("carol", keys))
        assert world.block(world.sign("carol", content)).results[0].error == "bad_signature"
