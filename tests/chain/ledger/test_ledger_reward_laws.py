"""Laws of the four factors: splitting never gains, being better never loses, paying oneself never pays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.ledger.factors import Factors, Sums, provider_rewards, score
from chain.ledger.parameters import Parameters
from chain.ledger.quality import service_level
from chain.ledger.shares import largest_remainder
from chain.wire.bodies import BatchEntry
from chain.wire.transactions import ANKR, transfer
from tests.chain.ledger.world import World, account

P = Parameters()
SCALE = 1_000_000

quality = st.integers(0, SCALE)
stake = st.integers(0, 10**24)
work = st.integers(0, 10**9)
factors = st.builds(Factors, quality, stake, st.just(0), work)
crowd = st.lists(factors, min_size=1, max_size=6)
pools = st.integers(0, 10**24)


def rewards(pool: int, accounts: list[Factors]) -> list[int]:
    return [share.amount_atto for share in provider_rewards(pool, accounts, P)]


@given(pools, st.lists(st.builds(Factors, quality, stake, stake, work), max_size=6))
def test_a_pool_is_never_overdrawn_and_nobody_pays(pool: int, accounts: list[Factors]) -> None:
    paid = rewards(pool, accounts)
    assert sum(paid) <= pool
    assert all(amount >= 0 for amount in paid)


@given(pools, crowd, quality, stake, stake, work, work)
def test_splitting_an_identity_never_gains(
    pool: int, others: list[Factors], q: int, stake_a: int, stake_b: int, work_a: int, work_b: int
) -> None:
    whole = rewards(pool, [Factors(q, stake_a + stake_b, 0, work_a + work_b), *others])[0]
    halves = rewards(pool, [Factors(q, stake_a, 0, work_a), Factors(q, stake_b, 0, work_b), *others])
    assert halves[0] + halves[1] <= whole


@given(work, work, quality, quality)
def test_a_service_level_is_the_same_whole_or_split(work_a: int, work_b: int, q: int, credit: int) -> None:
    whole = service_level(q, work_a + work_b, credit, 0, P.consumer_credit_permille)
    split = sum(service_level(q, part, credit, 0, P.consumer_credit_permille) for part in (work_a, work_b))
    assert 0 <= whole - split <= 1


def test_a_split_costs_no_more_than_rounding() -> None:
    others = [Factors(900_000, 10**23, 0, 40_000), Factors(700_000, 0, 0, 90_000)]
    whole = rewards(10**20, [Factors(800_000, 10**22, 0, 60_000), *others])[0]
    halves = sum(rewards(10**20, [Factors(800_000, 5 * 10**21, 0, 30_000)] * 2 + others)[:2])
    assert (whole - halves) * 100_000 < whole


@given(pools, crowd, st.integers(0, SCALE), st.integers(0, 10**24), st.integers(0, 10**9))
def test_more_quality_stake_or_work_never_loses(
    pool: int, accounts: list[Factors], more_quality: int, more_stake: int, more_work: int
) -> None:
    own, others = accounts[0], accounts[1:]
    before = rewards(pool, accounts)[0]
    for better in (
        own._replace(quality=min(SCALE, own.quality + more_quality)),
        own._replace(stake_atto=own.stake_atto + more_stake),
        own._replace(work_uankr_h=own.work_uankr_h + more_work),
    ):
        assert rewards(pool, [better, *others])[0] >= before


@given(pools, crowd, st.integers(1, 10**24), st.integers(0, 5))
def test_paying_fees_to_oneself_never_pays(pool: int, accounts: list[Factors], fee: int, payer: int) -> None:
    """One owner controls every account but the last, pays a fee from one of them, and never earns it back."""
    mine = accounts
    others = [Factors(SCALE, 10**20, 10**18, 50_000)]
    payer %= len(mine)
    paying = [*mine[:payer], mine[payer]._replace(fees_paid_atto=fee), *mine[payer + 1 :]]
    honest = sum(rewards(pool, [*mine, *others])[:-1])
    dishonest = sum(rewards(pool, [*paying, *others])[:-1])
    assert dishonest - honest < fee


@given(st.integers(0, 10**30), st.lists(st.integers(0, 10**12), max_size=8))
def test_largest_remainders_are_exact_and_fair(amount: int, weights: list[int]) -> None:
    shares = largest_remainder(amount, weights)
    total = sum(weights)
    assert sum(shares) == (amount if total else 0)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share * total - amount * weight) < max(1, total)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=8))
def test_an_operator_never_gains_by_transactions_to_himself(transfers: list[tuple[int, int]]) -> None:
    """His own fees partly come back to him as proposer, precommitter and producer, never in full."""

    def wealth(active: bool) -> int:
        world = World(grants=[("operator-1", 1_000 * ANKR)])
        world.block()
        for after_s, amount in transfers:
            tx = [world.sign("operator-1", transfer(account("second pocket"), amount * ANKR))] if active else []
            world.block(*tx, after_s=after_s)
        for _ in range(2):
            world.next_epoch()
        return world.balance("operator-1") + world.balance("second pocket")

    idle, busy = wealth(False), wealth(True)
    assert busy <= idle if not transfers else busy < idle


def test_reports_of_nothing_are_worth_nothing() -> None:
    p = replace(Parameters.demo())
    nothing = BatchEntry(account("carol"), 0, 0, 0, 0, None, 0)
    world = World(p)
    world.block()
    world.block(world.register("carol", "box"))
    world.next_epoch()
    assert world.block(world.batch(0, nothing)).results[0].ok
    world.next_epoch()
    world.next_epoch()
    assert world.balance("carol") == 0


@pytest.mark.parametrize("accounts", [10, 10_000, 1_000_000])
def test_one_percent_more_work_earns_one_percent_more_in_a_fleet_of_any_size(accounts: int) -> None:
    sums = Sums(0, 0, 20_000 * accounts, 0)
    less, more = (score(Factors(700_000, 0, 0, work), sums, P) for work in (20_000, 20_200))
    assert less > 0 and abs(more * 1_000 - less * 1_010) <= less
