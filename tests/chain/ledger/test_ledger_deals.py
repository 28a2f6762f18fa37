"""Deals: what is put in comes out exactly, the fee and its shares, and who may do what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.ledger.deals import deal_fee, settlement, split_deal_fee
from chain.ledger.factors import Factors, consumer_rewards, provider_rewards
from chain.ledger.parameters import Parameters
from chain.wire.deals import (
    Deal,
    DealOpen,
    deal_id,
    deal_key,
    deal_open,
    deal_settle,
    deal_top_up,
    metering_batch,
    rate,
)
from chain.wire.staking import Registration, bond
from chain.wire.state import Reward, ServiceLevel, reward_key, service_key
from chain.wire.transactions import ANKR, Content
from tests.chain.ledger.world import FEE, World, account

P = Parameters()
ROOT = bytes(32)


@pytest.fixture
def world() -> World:
    world = World(grants=[(name, 5_000 * ANKR) for name in ("customer", "stranger")])
    world.block()
    world.block(world.register("provider", "box"))
    return world


def send(world: World, name: str, content: Content) -> str:
    return world.block(world.sign(name, content)).results[0].error


def opened(world: World, escrow: int = 1_000 * ANKR, app_permille: int = 100) -> bytes:
    deal = deal_id(account("customer"), world.account("customer").nonce)
    terms = DealOpen(account("provider"), account("maker"), account("hub"), escrow, app_permille, ROOT)
    assert send(world, "customer", deal_open(terms)) == ""
    return deal


def meter(world: World, deal: bytes, used: int) -> str:
    return send(world, "hub", metering_batch(0, ROOT, {deal: used}))


def entry(world: World, deal: bytes) -> Deal:
    return Deal.decode(world.state.entries[deal_key(deal)])


def level(world: World, name: str) -> ServiceLevel:
    return ServiceLevel.decode(world.state.entries[service_key(account(name))])


def test_the_golden_fee_and_its_three_shares() -> None:
    assert deal_fee(1_000_003, P) == 50_000
    assert split_deal_fee(50_000, P) == [15_000, 15_000, 20_000]
    paid = settlement(1_000_003, 10**9, 0, P)
    assert (paid.provider, paid.app_provider, paid.platform) == (950_003 + 15_000, 15_000, 20_000)
    on_top = settlement(1_000_003, 10**9, 0, replace(P, deal_fee_on_top=1))
    assert (on_top.gross, on_top.provider, on_top.total) == (1_000_003, 1_015_003, 1_050_003)


@given(st.integers(0, 10**30), st.integers(0, 10**30), st.integers(0, 1_000), st.sampled_from((0, 1)))
def test_a_settlement_is_exact_and_never_more_than_the_escrow(due: int, escrow: int, app: int, on_top: int) -> None:
    paid = settlement(due, escrow, app, replace(P, deal_fee_on_top=on_top))
    assert paid.total == paid.gross + (paid.fee if on_top else 0) <= escrow
    assert paid.gross <= due and min(paid) >= 0
    assert sum(split_deal_fee(paid.fee, P)) == paid.fee


def test_a_deal_from_its_opening_to_its_rating(world: World) -> None:
    deal = opened(world)
    assert world.supply().escrow_atto == 1_000 * ANKR
    assert meter(world, deal, 400 * ANKR) == ""
    hub = world.balance("hub")
    assert send(world, "stranger", deal_settle(deal)) == "tx_unauthorised"
    assert send(world, "customer", deal_settle(deal)) == ""
    # 400: fee 20 -> 6/6/8; net 380, of which 38 are the application's
    assert (world.balance("provider"), world.balance("maker")) == (348 * ANKR, 44 * ANKR)
    assert world.balance("hub") == hub + 8 * ANKR
    assert meter(world, deal, 500 * ANKR) == ""
    before = world.balance("customer")
    assert send(world, "hub", deal_settle(deal, "done")) == ""
    assert world.balance("customer") == before + 500 * ANKR and world.supply().escrow_atto == 0
    assert (entry(world, deal).outcome, entry(world, deal).paid_atto) == ("done", 500 * ANKR)
    assert send(world, "stranger", rate(deal, 5)) == "tx_unauthorised"
    assert send(world, "customer", rate(deal, 5)) == "" and send(world, "customer", rate(deal, 1)) == "tx_duplicate"
    for content in (deal_top_up(deal, 1), deal_settle(deal)):
        assert send(world, "customer", content) == "tx_unknown_deal"
    for _ in range(4):
        world.next_epoch()
    provider, customer = level(world, "provider"), level(world, "customer")
    assert (provider.stars_sum, provider.ratings) == (5, 1) and provider.tasks_done == 1_000_000
    assert customer.deals_on_time == 1_000_000 and customer.credit == 666_666
    assert customer.fees_paid_uankr == 2 * 10_000_000 // 10  # a fifth of the new 10 ANKR in micro-ANKR


def test_what_the_fees_earn_is_told_and_below_the_fees(world: World) -> None:
    deal = opened(world)
    meter(world, deal, 1_000 * ANKR)
    send(world, "hub", deal_settle(deal, "done"))
    for _ in range(4):
        world.next_epoch()
    why = Reward.decode(world.state.entries[reward_key(account("customer"))]).consumer
    assert why is not None and why.fees_paid_atto == 20 * ANKR
    assert 0 < why.amount_atto <= 18 * ANKR
    assert why.amount_atto == min(
        why.pool_atto * why.quality * why.fees_paid_atto // why.quality_fees_sum, 18 * ANKR - why.earned_before_atto
    )


def test_an_empty_escrow_is_a_default_and_a_top_up_makes_it_merely_late(world: World) -> None:
    short, late = opened(world, 100 * ANKR), opened(world, 100 * ANKR)
    assert meter(world, short, 150 * ANKR) == "" and meter(world, late, 150 * ANKR) == ""
    assert send(world, "stranger", deal_top_up(late, 100 * ANKR)) == ""
    for deal in (short, late):
        assert send(world, "hub", deal_settle(deal, "failed")) == ""
    assert (entry(world, short).paid_atto, entry(world, late).paid_atto) == (100 * ANKR, 150 * ANKR)
    for _ in range(4):
        world.next_epoch()
    customer = level(world, "customer")
    assert (customer.deals_defaulted, customer.deals_late, customer.deals_on_time) == (10**6, 10**6, 0)
    assert level(world, "provider").tasks_failed == 2 * 10**6


def test_only_the_platform_meters_and_use_never_falls(world: World) -> None:
    deal = opened(world)
    assert send(world, "customer", metering_batch(0, ROOT, {deal: 1})) == "tx_unauthorised"
    assert meter(world, deal, 10) == "" and meter(world, deal, 9) == "malformed"
    assert meter(world, bytes(32), 1) == "tx_unknown_deal"
    assert entry(world, deal).used_atto == 10


def test_a_silent_platform_cannot_keep_the_escrow(world: World) -> None:
    deal = opened(world)
    for name in ("customer", "provider"):
        world.block(world.sign("hub", (1, [account(name), 10 * FEE])))
        assert send(world, name, deal_settle(deal, "done")) == "tx_unauthorised"
    world.block(after_s=world.parameters.deal_grace_s + 1)
    assert send(world, "provider", deal_settle(deal, "done")) == "tx_unauthorised"
    assert send(world, "customer", deal_settle(deal, "done")) == "" and world.supply().escrow_atto == 0


def test_what_an_opening_is_refused_for() -> None:
    world = World(replace(Parameters.demo(), min_provider_stake_atto=ANKR), grants=[("customer", 500 * ANKR)])
    world.block()
    terms = DealOpen(account("provider"), account("maker"), account("hub"), 100 * ANKR, 0, ROOT)
    assert send(world, "customer", deal_open(terms)) == "tx_stake_too_low"  # stake to get jobs
    world.block(world.sign("hub", (1, [account("provider"), 20 * ANKR])))
    assert send(world, "provider", bond(ANKR, Registration("provider", None))) == ""
    assert send(world, "customer", deal_open(terms._replace(platform=account("x")))) == "tx_unauthorised"
    assert send(world, "customer", deal_open(terms._replace(escrow_atto=ANKR - 1))) == "malformed"
    assert send(world, "customer", deal_open(terms._replace(escrow_atto=500 * ANKR))) == "tx_insufficient_funds"
    assert send(world, "customer", deal_open(terms)) == ""


amounts = st.integers(0, 10**24)
others = st.lists(st.builds(Factors, st.integers(0, 10**6), amounts, amounts, st.integers(0, 10**9)), max_size=4)


@given(amounts, amounts, others, st.integers(0, 10**6), amounts, st.integers(0, 10**9), st.integers(1, 10**26))
def test_no_deal_with_oneself_earns_its_fee_back(
    providers_atto: int, consumers_atto: int, crowd: list[Factors], quality: int, stake: int, work: int, gross: int
) -> None:
    """Customer, provider and application are one owner; only the platform and the ledger are not."""
    paid = settlement(gross, gross, 0, P)

    def earned(fees: int) -> int:
        accounts = [Factors(quality, stake, fees, work), *crowd]
        shares = provider_rewards(providers_atto, accounts, P)
        by_fees = [share.by_fees_atto for share in shares]
        return shares[0].amount_atto + consumer_rewards(consumers_atto, accounts, by_fees, P)[0]

    cost = gross - paid.provider - paid.app_provider
    assert earned(paid.platform) - earned(0) <= cost
    assert paid.platform == cost
