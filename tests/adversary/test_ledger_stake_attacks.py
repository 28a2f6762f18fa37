"""Attacks with stake, votes, evidence and escrow: all must fail."""

from __future__ import annotations

from dataclasses import replace

from chain.ledger.operators import operator_key
from chain.ledger.parameters import SUPPLY_ATTO, Parameters
from chain.ledger.seats import seated_keys
from chain.ledger.supply import total_supply
from chain.wire.deals import DealOpen, deal_id, deal_open, deal_settle
from chain.wire.governance import role
from chain.wire.operators import Operator
from chain.wire.staking import Registration, bond, prove_keys, unbond
from chain.wire.state import ProviderReward, Reward, hub_key, reward_key
from chain.wire.transactions import ANKR, transfer
from tests.chain.ledger.lives import two_votes
from tests.chain.ledger.world import CHAIN, FEE, World, account, key, perfect

MIN = 100_000 * ANKR


def registration(name: str) -> Registration:
    return Registration(name, prove_keys(CHAIN, account(name), key(f"{name} c"), key(f"{name} v").secret))


def provider_reward(world: World, name: str) -> ProviderReward:
    found = Reward.decode(world.state.entries[reward_key(account(name))]).provider
    assert found is not None
    return found


def test_stake_put_up_just_before_a_boundary_earns_nothing_for_it() -> None:
    """Old stake must not lend its age to what is added in the last second."""
    world = World(replace(Parameters.demo(), stake_full_age_s=30), grants=[("mallory", 2 * MIN)])
    world.block()
    world.block(world.register("mallory", "box"), world.register("dave", "box-2"))
    world.block(world.sign("mallory", bond(ANKR, Registration("mallory", None))))
    world.block(after_s=60)
    world.next_epoch()
    world.block(world.batch(world.epoch - 1, perfect("mallory"), perfect("dave")))
    world.next_epoch()
    world.block(world.sign("mallory", bond(MIN)), after_s=2)
    world.next_epoch()
    held = provider_reward(world, "mallory").stake_atto
    assert held <= ANKR + MIN * 2 // 30


def test_the_same_stake_cannot_vote_twice_by_moving() -> None:
    """Bond, vote, unbond: until it is paid out, the coins cannot be bonded again under another name."""
    world = World(grants=[("mallory", 2 * MIN)])
    world.block()
    grant = role(True, account("mallory's hub"), "mine")
    for content in (bond(MIN, registration("mallory")), grant, unbond(MIN)):
        assert world.block(world.sign("mallory", content)).results[0].ok
    moved = world.block(world.sign("mallory", transfer(account("mallory-2"), 2 * MIN - 20 * FEE))).results[0]
    assert moved.error == "tx_insufficient_funds"
    assert hub_key(account("mallory's hub")) not in world.state.entries


def test_evidence_cannot_be_replayed_after_it_was_punished() -> None:
    world = World(grants=[("reporter", 1_000 * ANKR)])
    world.block()
    evidence = two_votes("operator-1", 1)
    results = world.block(*(world.sign("reporter", evidence, ahead=n) for n in range(3))).results
    assert [result.error for result in results] == ["", "tx_duplicate", "tx_duplicate"]
    assert Operator.decode(world.state.entries[operator_key(account("operator-1"))]).bond_atto == MIN * 95 // 100


def test_evidence_cannot_empty_the_set_of_validators() -> None:
    world = World(grants=[("reporter", 1_000 * ANKR)])
    world.block()
    for name in world.operators:
        world.block(world.sign("reporter", two_votes(name, 1)))
    assert len(seated_keys(world.state)) == 1
    assert world.block(world.sign("reporter", transfer(account("x"), 1))).results[0].ok


def test_a_crowd_of_dust_operators_does_not_slow_elections_down() -> None:
    """Only who bonds the minimum is looked through; dust costs its own fees and nothing else."""
    world = World(grants=[(f"dust-{n}", 10 * ANKR) for n in range(50)])
    world.block()
    world.block(*(world.sign(f"dust-{n}", bond(1, registration(f"dust-{n}"))) for n in range(3)))
    world.block(*(world.sign(f"dust-{n}", bond(1, Registration("x", None))) for n in range(3, 50)))
    assert len(world.state.entries[b"operators"]) < 100


def test_an_escrow_pays_once_and_nobody_draws_on_anothers() -> None:
    world = World(grants=[("customer", 1_000 * ANKR), ("mallory", 1_000 * ANKR)])
    world.block()
    deal = deal_id(account("customer"), 0)
    terms = DealOpen(account("mallory"), account("mallory"), account("hub"), 500 * ANKR, 1_000, bytes(32))
    world.block(world.sign("customer", deal_open(terms)))
    before = world.balance("mallory")
    for _ in range(3):
        world.block(world.sign("mallory", deal_settle(deal)))
    assert world.balance("mallory") == before - 3 * FEE  # nothing was metered, nothing is paid
    assert world.supply().escrow_atto == 500 * ANKR and total_supply(world.state) == SUPPLY_ATTO
