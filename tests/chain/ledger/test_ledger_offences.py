"""What is proven is punished, once, and the coins go to the mining pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.ledger.block import FLAG_ABSENT, FLAG_COMMIT
from chain.ledger.machine import BlockOutput
from chain.ledger.operators import OPERATORS_KEY, Operators, operator_key
from chain.ledger.parameters import Parameters
from chain.ledger.seats import seated_keys
from chain.ledger.slashing import slashed
from chain.wire.offences import contradiction
from chain.wire.operators import Operator
from chain.wire.staking import Registration, bond, prove_keys, rotate_key, unbond, unjail
from chain.wire.state import ServiceLevel, service_key
from chain.wire.transactions import ANKR, transfer
from tests.chain.ledger.lives import signed_record, two_records, two_votes
from tests.chain.ledger.world import CHAIN, FEE, World, account, key, perfect

MIN = 100_000 * ANKR


@pytest.fixture
def world() -> World:
    world = World(grants=[("witness", 1_000 * ANKR)])
    world.block()
    return world


def operator(world: World, name: str) -> Operator:
    return Operator.decode(world.state.entries[operator_key(account(name))])


def level(world: World, name: str) -> ServiceLevel:
    return ServiceLevel.decode(world.state.entries[service_key(account(name))])


def test_a_double_sign_costs_a_twentieth_and_every_seat_for_ever(world: World) -> None:
    world.block(world.sign("hub", transfer(account("operator-1"), 10 * FEE)))
    world.block(world.sign("operator-1", unbond(MIN // 4)))
    mining = world.supply().mining_atto
    output = world.block(world.sign("witness", two_votes("operator-1", 1)))
    assert output.results[0].ok
    punished = operator(world, "operator-1")
    assert punished.bond_atto == MIN * 3 // 4 * 95 // 100 and punished.jailed and punished.tombstoned
    assert world.supply().mining_atto == mining + MIN // 20
    assert output.validator_updates == ((key("operator-1 consensus").public.x, 0),)
    assert len(seated_keys(world.state)) == 3
    assert account("operator-1") not in Operators.decode(world.state.entries[OPERATORS_KEY]).addresses
    for content in (unjail(), bond(MIN)):
        assert world.block(world.sign("operator-1", content)).results[0].error == "tx_jailed"
    before = world.balance("operator-1")
    world.block(after_s=world.parameters.unbonding_s)
    assert world.balance("operator-1") >= before + MIN // 4 * 95 // 100


def test_evidence_counts_once_and_only_when_it_proves_something(world: World) -> None:
    for content, error in (
        (two_votes("operator-1", 1, same=True), "tx_not_proven"),
        (two_votes("operator-1", 1, chain_id="another-chain"), "tx_not_proven"),
        (two_votes("stranger", 1), "tx_unknown_operator"),
    ):
        assert world.block(world.sign("witness", content)).results[0].error == error
    kind, body = two_votes("operator-1", 1)
    body[5] = [*body[5][:2], bytes(64)]
    assert world.block(world.sign("witness", (kind, body))).results[0].error == "tx_not_proven"
    assert operator(world, "operator-1").bond_atto == MIN
    assert world.block(world.sign("witness", two_votes("operator-1", 1))).results[0].ok
    assert world.block(world.sign("witness", two_votes("operator-1", 2))).results[0].error == "tx_duplicate"


def test_the_engines_own_evidence_punishes_alike(world: World) -> None:
    known, stranger = world.validator("operator-2"), account("nobody")
    block = replace(world.block_input(), misbehavior=((known, 1), (known, 2), (stranger, 1)))
    output = world.run(block)
    assert output.touches_state and output.validator_updates == ((key("operator-2 consensus").public.x, 0),)
    assert operator(world, "operator-2").bond_atto == MIN * 95 // 100
    again = world.run(replace(world.block_input(), misbehavior=((known, 1),)))
    assert operator(world, "operator-2").bond_atto == MIN * 95 // 100 and again.validator_updates == ()


def test_the_last_seat_is_never_taken() -> None:
    world = World(operators=1, grants=[("witness", 1_000 * ANKR)])
    world.block()
    output = world.block(world.sign("witness", two_votes("operator-1", 1)))
    assert output.results[0].ok and output.validator_updates == () and len(seated_keys(world.state)) == 1


def absent_blocks(world: World, name: str, count: int) -> list[BlockOutput]:
    """Blocks in whose LastCommit the operator is missing; a transaction makes each touch the state."""
    outputs = []
    for _ in range(count):
        block = world.block_input([world.sign("witness", transfer(account("x"), 1))])
        flags = tuple((world.validator(each), FLAG_ABSENT if each == name else FLAG_COMMIT) for each in world.operators)
        outputs.append(world.run(replace(block, precommits=flags)))
    return outputs


def test_who_misses_more_than_half_of_a_window_is_jailed_and_comes_back() -> None:
    parameters = replace(Parameters.demo(), downtime_window_blocks=10)
    world = World(parameters, grants=[("witness", 1_000 * ANKR)], operators=5)
    world.block()
    world.block(world.sign("hub", transfer(account("operator-1"), 10 * FEE)))
    outputs = absent_blocks(world, "operator-1", 9)
    assert [updates for output in outputs if (updates := output.validator_updates)] == [
        ((key("operator-1 consensus").public.x, 0),)
    ]
    jailed = operator(world, "operator-1")
    assert jailed.jailed and not jailed.tombstoned and jailed.bond_atto == MIN - MIN // 10_000
    assert not any(operator(world, name).jailed for name in world.operators[1:])
    assert world.block(world.sign("operator-1", unjail())).results[0].error == "tx_jailed"
    world.block(world.sign("operator-1", unjail()), after_s=parameters.downtime_jail_s)
    assert not operator(world, "operator-1").jailed


def test_with_four_seats_a_jailed_operator_keeps_its_own_and_pays_once() -> None:
    world = World(replace(Parameters.demo(), downtime_window_blocks=10), grants=[("witness", 1_000 * ANKR)])
    world.block()
    outputs = absent_blocks(world, "operator-1", 40)
    assert all(output.validator_updates == () for output in outputs)
    assert operator(world, "operator-1").bond_atto == MIN - MIN // 10_000


def test_precommits_of_idle_blocks_count_as_present() -> None:
    world = World(replace(Parameters.demo(), downtime_window_blocks=10), grants=[("witness", 1_000 * ANKR)])
    world.block()
    present = [world.validator(name) for name in world.operators]
    world.height += 30  # idle blocks, of which only counts are handed in
    block = world.block_input([world.sign("witness", transfer(account("x"), 1))])
    meta = tuple((validator, 30 if place else 14) for place, validator in enumerate(present))
    world.run(replace(block, meta=meta))
    jailed = [name for name in world.operators if operator(world, name).jailed]
    assert jailed == ["operator-1"]


def test_a_contradiction_leaves_no_honesty_and_counts_once(world: World) -> None:
    world.block(world.register("carol", "box"))
    assert world.block(world.sign("witness", two_records("box", 3, 1))).results[0].ok
    assert (level(world, "carol").honesty, level(world, "carol").quality) == (0, 0)
    assert world.block(world.sign("witness", two_records("box", 3, 1))).results[0].error == "tx_duplicate"
    world.next_epoch()
    world.block(world.batch(world.epoch - 1, perfect("carol")))
    world.next_epoch()
    world.next_epoch()
    assert level(world, "carol").honesty == 10_000


def test_what_proves_no_contradiction(world: World) -> None:
    world.block(world.register("carol", "box"))
    first = signed_record("box", 3, 7)
    forged = signed_record("other", 3, 8)
    for content, error in (
        (two_records("box", 3, 0), "tx_not_proven"),
        (contradiction(first, signed_record("box", 4, 8)), "tx_not_proven"),
        (contradiction(first, forged), "tx_not_proven"),
        (two_records("unregistered", 3, 1), "tx_unknown_device"),
        (contradiction(first, forged._replace(delegation=first.delegation)), "tx_not_proven"),
        (contradiction(first, signed_record("box", 3, 8)._replace(delegation=forged.delegation)), "delegation_invalid"),
        (contradiction(first, signed_record("box", 3, 8, "y")._replace(delegation=first.delegation)), "tx_not_proven"),
        ((28, [[b"", b""], [b"", b""]]), "malformed"),
    ):
        assert world.block(world.sign("witness", content)).results[0].error == error
    assert level(world, "carol").honesty == 1_000_000


def test_slashing_rounds_down_and_never_takes_more_than_there_is() -> None:
    assert [slashed(*each) for each in ((19, 50_000), (20, 50_000), (5, 2_000_000), (0, 50_000))] == [0, 1, 5, 0]


def test_a_key_that_was_rotated_out_still_answers_for_its_operator(world: World) -> None:
    world.block(world.sign("hub", transfer(account("operator-1"), 10 * FEE)))
    fresh = prove_keys(CHAIN, account("operator-1"), key("second"), key("second vrf").secret)
    world.block(world.sign("operator-1", rotate_key(0, fresh)))
    output = world.block(world.sign("witness", two_votes("operator-1", 1)))
    assert output.results[0].ok and output.validator_updates == ((fresh.consensus, 0),)


def test_stake_that_is_on_its_way_out_does_not_escape() -> None:
    world = World(grants=[("carol", 2 * MIN), ("witness", 100 * ANKR)])
    world.block()
    keys = prove_keys(CHAIN, account("carol"), key("carol consensus"), key("carol vrf").secret)
    world.block(world.sign("carol", bond(MIN, Registration("carol", keys))))
    world.block(world.sign("carol", unbond(MIN)))
    before = world.balance("carol")
    assert world.block(world.sign("witness", two_votes("carol", 1))).results[0].ok
    world.block(after_s=world.parameters.unbonding_s)
    assert world.balance("carol") == before + MIN * 95 // 100
