"""Attacks on money, rewards and the chain's life through transactions and blocks: all must fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.errors import Faulty, Refused
from chain.ledger.machine import Overlay
from chain.ledger.parameters import SUPPLY_ATTO
from chain.ledger.supply import move, total_supply
from chain.wire.state import Reward, ServiceLevel, reward_key, service_key
from chain.wire.transactions import ANKR, device_register, device_register_bytes, sponsor, transfer
from tests.chain.ledger.world import CHAIN, FEE, World, account, key, perfect


@pytest.fixture
def world() -> World:
    world = World(grants=[("mallory", 100 * ANKR)])
    world.block()
    return world


@pytest.mark.parametrize("amount", [-1, -ANKR, 1 << 128, True, None, "5", 10**40])
def test_amounts_outside_the_range_move_nothing(world: World, amount: object) -> None:
    try:
        tx = world.sign("mallory", (1, [account("accomplice"), amount]))
    except Refused:
        return  # it has no encoding at all
    assert world.block(tx).results[0].error == "malformed"
    assert world.balance("accomplice") == 0


def test_spending_the_same_money_twice_in_one_block(world: World) -> None:
    txs = [world.sign("mallory", transfer(account(name), 90 * ANKR), ahead=n) for n, name in enumerate(("x", "y"))]
    assert [result.error for result in world.block(*txs).results] == ["", "tx_insufficient_funds"]
    assert world.balance("x") + world.balance("y") == 90 * ANKR


def test_draining_a_sponsor_with_one_account(world: World) -> None:
    """The sponsor's signature covers one transaction; his quota bounds what one owner can cost him."""
    quota = world.parameters.sponsor_quota
    for n in range(quota + 5):
        tx = world.sign("leech", transfer(account("x"), 10**6), nonce=n, fee_payer=world.hub.public)
        world.block(sponsor(tx, world.hub, CHAIN))
    assert world.balance("hub") == 1_000_000 * ANKR - quota * FEE


def test_reusing_a_sponsors_signature(world: World) -> None:
    good = world.register("carol", "box")
    for stolen in (
        replace(world.sign("mallory", (9, good.body), fee_payer=world.hub.public), fee_signature=good.fee_signature),
        replace(good, fee=10**24),
        replace(good, sender=key("mallory").public),
    ):
        assert world.block(stolen).results[0].error == "bad_signature"


def test_taking_over_a_registered_device(world: World) -> None:
    """A registration cannot be replayed for another owner, and a known device cannot change hands."""
    assert world.block(world.register("carol", "box")).results[0].ok
    replayed = world.sign("mallory", (9, world.register("carol", "box").body))
    assert world.block(replayed).results[0].error == "tx_known_device"
    box = key("fresh box")
    consent_to_carol = box.sign(device_register_bytes(CHAIN, account("carol"), box.public))
    stolen = world.sign("mallory", device_register(box.public, consent_to_carol))
    assert world.block(stolen).results[0].error == "bad_signature"


def test_a_hub_cannot_halt_the_chain_with_extreme_reports(world: World) -> None:
    world.block(world.register("carol", "box"))
    world.next_epoch()
    extreme = perfect("carol")._replace(
        heartbeats_valid=2**32 - 1, heartbeats_expected=0, pog_passed=2**32 - 1, p95_ms=0, work=2**80 - 1
    )
    for _ in range(40):
        world.block(world.batch(world.epoch - 1, extreme))
        world.next_epoch()
    data = world.state.get(service_key(account("carol")))
    assert data is not None
    level = ServiceLevel.decode(data)
    assert level.quality <= 1_000_000 and level.service_level <= 2**80
    assert total_supply(world.state) == SUPPLY_ATTO


def test_absence_and_return_gain_nothing_over_steady_work() -> None:
    def earned(pattern: str) -> int:
        world = World()
        world.block()
        world.block(world.register("carol", "box"), world.register("dave", "box-2"))
        world.next_epoch()
        for letter in pattern:
            present = [perfect("dave")] + ([perfect("carol")] if letter == "x" else [])
            world.block(world.batch(world.epoch - 1, *present))
            world.next_epoch()
        world.next_epoch()
        return world.balance("carol")

    steady, on_and_off = earned("xxxxxxxx"), earned("x-x-x-x-")
    assert on_and_off * 2 <= steady + 10**12


def test_an_owner_split_into_many_earns_what_one_would() -> None:
    def earned(parts: int) -> int:
        world = World()
        world.block()
        # All register in either world: the fees of more registrations alone would make the pool a little larger.
        names = [f"mallory-{n}" for n in range(6)]
        world.block(*(world.register(name, f"box of {name}") for name in [*names, "honest"]))
        world.next_epoch()
        entries = [perfect(name, 60_000 // parts) for name in names[:parts]]
        world.block(world.batch(0, perfect("honest", 60_000), *entries))
        world.next_epoch()
        world.next_epoch()
        return sum(world.balance(name) for name in names)

    assert earned(6) <= earned(1)
    assert earned(1) - earned(6) < earned(1) // 10_000


def test_failed_proofs_cost_more_than_they_bring() -> None:
    """Half of the challenges failed: the same claimed work is paid less."""
    world = World()
    world.block()
    world.block(world.register("carol", "box"), world.register("cheat", "box-2"))
    world.next_epoch()
    for _ in range(10):
        cheat = perfect("cheat")._replace(pog_passed=1, pog_failed=1)
        world.block(world.batch(world.epoch - 1, perfect("carol")._replace(pog_passed=2), cheat))
        world.next_epoch()
    assert world.balance("cheat") < world.balance("carol")
    data = world.state.get(reward_key(account("cheat")))
    assert data is not None
    assert Reward.decode(data).provider is not None


def test_a_part_of_the_supply_can_neither_vanish_nor_go_below_zero(world: World) -> None:
    for changes in ({"mining_atto": 1}, {"reward_pool_atto": -1, "mining_atto": 1}, {"accounts_atto": -1}):
        with pytest.raises(Faulty):
            move(Overlay(world.state), **changes)


def test_a_block_in_the_name_of_a_stranger_halts_instead_of_paying_him(world: World) -> None:
    before = dict(world.state.entries)
    tx = world.sign("mallory", transfer(account("x"), 1))
    stranger = account("mallory")
    for block in (
        replace(world.block_input([tx]), proposer=stranger),
        replace(world.block_input([tx]), precommits=((stranger, 2),)),
        replace(world.block_input([tx]), meta=((stranger, 9),)),
    ):
        with pytest.raises(Faulty):
            world.run(block)
    assert world.state.entries == before
