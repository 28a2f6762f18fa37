"""Defects 5, 6 and 7: who is elected, with how much power, and what an operator may change."""

from __future__ import annotations

from collections.abc import Callable

from chain import slsbft
from chain.application.abci import RequestQuery
from chain.application.app import Application
from chain.ledger.operators import operator_key
from chain.wire.data_centers import DataCenter, data_center_key, data_center_register
from chain.wire.operators import SEATS_KEY, Operator, Seats
from chain.wire.staking import Registration, bond, prove_keys, rotate_key, unbond
from chain.wire.transactions import ANKR
from tests.chain.application.conftest import Chain, chain, genesis_request, new_application
from tests.chain.ledger.lives import two_votes
from tests.chain.ledger.world import CHAIN, FEE, World, account, key

__all__ = ["chain", "genesis_request", "new_application"]

RICHES = 10**8 * ANKR


def operator(world: World, name: str) -> Operator:
    return Operator.decode(world.state.entries[operator_key(account(name))])


def seats(world: World) -> Seats:
    return Seats.decode(world.state.entries[SEATS_KEY])


def registration(name: str, number: int = 0) -> Registration:
    keys = prove_keys(CHAIN, account(name), key(f"{name} c{number}"), key(f"{name} v{number}").secret)
    return Registration(name, keys)


def test_5_the_strong_are_elected_not_the_weakest() -> None:
    """There the validator set kept the lowest stakes."""
    stakes = {b"a": 100, b"b": 90, b"c": 80, b"d": 70, b"e": 5, b"f": 4, b"g": 3, b"h": 2}
    operators = [slsbft.Operator(name, stake, stake, 1) for name, stake in stakes.items()]
    wins = dict.fromkeys(stakes, 0)
    for seed in range(200):
        for name, _ in slsbft.elect(seed.to_bytes(32, "big"), operators, 4, []):
            wins[name] += 1
    assert min(wins[name] for name in (b"a", b"b", b"c", b"d")) > 4 * max(
        wins[name] for name in (b"e", b"f", b"g", b"h")
    )


def test_6_voting_power_never_comes_from_an_amount_of_tokens() -> None:
    """There 18-decimal stakes overflowed 64 bits into negative power; here every seat has the same small power."""
    world = World(grants=[("whale", 2 * RICHES)])
    world.block()
    assert world.block(world.sign("whale", bond(RICHES, registration("whale")))).results[0].ok
    power = world.parameters.validator_power
    assert {each for _, each in world.genesis.validators()} == {power} and 0 < power < 2**40
    assert operator(world, "whale").bond_atto == RICHES and len(seats(world).seats) == 4


def test_6_an_unseated_validator_is_taken_out_of_the_engines_set() -> None:
    """There a removed one was never sent with power 0 and went on voting."""
    world = World(grants=[("reporter", 100 * ANKR)])
    world.block()
    output = world.block(world.sign("reporter", two_votes("operator-1", 1)))
    assert (key("operator-1 consensus").public.x, 0) in output.validator_updates
    assert len(seats(world).seats) == 3


def test_6_bonds_are_held_apart_paid_back_whole_and_use_a_nonce(world: World) -> None:
    """There stake was subtracted on every change, never refunded, and the nonce stood still."""
    for content in (bond(300 * ANKR, Registration("alice", None)), unbond(100 * ANKR), unbond(200 * ANKR)):
        assert world.block(world.sign("alice", content)).results[0].ok
    assert (world.account("alice").nonce, world.balance("alice")) == (3, 700 * ANKR - 3 * FEE)
    world.block(after_s=world.parameters.unbonding_s + 1)
    world.block(after_s=1)
    assert world.balance("alice") >= 1_000 * ANKR - 3 * FEE
    assert world.block(world.sign("alice", bond(0))).results[0].error == "malformed"


def test_6_the_validators_are_part_of_the_state_and_survive_a_restart(
    chain: Chain, new_application: Callable[[str], Application]
) -> None:
    """There they lived in memory and were none after a restart."""
    chain.block([chain.payment()])
    before = chain.app.query(RequestQuery("/state", SEATS_KEY)).value
    assert len(Seats.decode(before).seats) == 4
    assert new_application("first").query(RequestQuery("/state", SEATS_KEY)).value == before


def test_7_an_operator_may_change_its_keys_and_its_stake(world: World) -> None:
    """There a masked flag was compared with 1, so that only a name could be changed."""
    world.block(world.sign("alice", bond(100 * ANKR, registration("alice"))))
    fresh = registration("alice", 1).keys
    assert fresh is not None
    for content in (rotate_key(0, fresh), bond(50 * ANKR), unbond(20 * ANKR)):
        assert world.block(world.sign("alice", content)).results[0].ok
    changed = operator(world, "alice")
    assert changed.keys == ((fresh.consensus, fresh.vrf),) and changed.bond_atto == 130 * ANKR


def test_7_every_field_of_a_data_center_may_be_changed(world: World) -> None:
    for number, fields in enumerate([("first", "eu", b"c" * 32), ("second", "us", b"d" * 32)]):
        assert world.block(world.sign("alice", data_center_register(*fields))).results[0].ok
        found = DataCenter.decode(world.state.entries[data_center_key(account("alice"))])
        assert (found.name, found.region, found.certificate) == fields, number
