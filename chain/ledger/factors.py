"""Rewards of providers by the note's four factors: stake held, fees paid, work proven, reputation.

Source: economics.md "Money". Stakeholders of a pool are the accounts with proven work in the settled reward epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chain.ledger.parameters import PERMILLE, Parameters
from chain.ledger.shares import share
from chain.wire.state import SCALE


class Factors(NamedTuple):
    """One account's inputs: Q out of S, H and K in atto, R in micro-ANKR per hour of that very epoch."""

    quality: int
    stake_atto: int
    fees_paid_atto: int
    work_uankr_h: int


class Sums(NamedTuple):
    """The factors added up over all accounts of the pool; `quality_fees` is the sum of Q*K."""

    stake_atto: int
    fees_paid_atto: int
    work_uankr_h: int
    quality_fees: int


class Share(NamedTuple):
    """What an account's factors come to: its score, the part of its reward that its fees earned, and all of it."""

    score: int
    by_fees_atto: int
    amount_atto: int


def stake_held(bond_atto: int, age_s: int, full_age_s: int) -> int:
    """H: the bond times `min(1, age / 30 d)`, in atto; additive in the bond."""
    return bond_atto * min(max(0, age_s), full_age_s) // full_age_s


def score(account: Factors, sums: Sums, p: Parameters) -> int:
    """`Q * (250*S*H//sumH + 600*S*R//sumR)`; monotone in each factor, superadditive.

    Not scaled down to S: only ratios of scores count. Out of S, an account among 10 000 equal ones had a score of 33, a
    step of which was 3 % of its pay, and among a million it had none.
    """
    parts = share(p.stake_weight * SCALE, account.stake_atto, sums.stake_atto) + share(
        p.work_weight * SCALE, account.work_uankr_h, sums.work_uankr_h
    )
    return account.quality * parts


def fees_pot(pool_atto: int, sums: Sums, p: Parameters) -> int:
    """What fees may earn of a pool: `min(pool*150//1000, 900*sumK//1000)` atto.

    A pot of its own, because a payer's fees must not change by what anybody's stake and work is divided: an owner of
    many accounts could else pay from a worthless one to make the others' shares grow.
    """
    return min(pool_atto * p.consumption_weight // PERMILLE, p.gamma_permille * sums.fees_paid_atto // PERMILLE)


def earned_by_fees(pot_atto: int, account: Factors, sums: Sums, p: Parameters) -> int:
    """`min(pot * Q*K // sum(Q*K), gamma*K//1000)` atto, gamma = 900 permille: paying oneself loses."""
    part = share(pot_atto, account.quality * account.fees_paid_atto, sums.quality_fees)
    return min(part, p.gamma_permille * account.fees_paid_atto // PERMILLE)


def sum_factors(accounts: Sequence[Factors]) -> Sums:
    return Sums(
        stake_atto=sum(account.stake_atto for account in accounts),
        fees_paid_atto=sum(account.fees_paid_atto for account in accounts),
        work_uankr_h=sum(account.work_uankr_h for account in accounts),
        quality_fees=sum(account.quality * account.fees_paid_atto for account in accounts),
    )


def consumer_rewards(
    pool_atto: int, accounts: Sequence[Factors], earned_atto: Sequence[int], p: Parameters
) -> list[int]:
    """`min(pool * Q*K // sum(Q*K), gamma*K//1000 - earned)` atto for every account that paid fees.

    `earned` is what its fees earned it as a provider, so all that an account gets for fees stays below them.
    """
    total = sum(account.quality * account.fees_paid_atto for account in accounts)
    return [
        min(
            share(pool_atto, account.quality * account.fees_paid_atto, total),
            p.gamma_permille * account.fees_paid_atto // PERMILLE - earned,
        )
        for account, earned in zip(accounts, earned_atto, strict=True)
    ]


def provider_rewards(pool_atto: int, accounts: Sequence[Factors], p: Parameters) -> list[Share]:
    """`reward = (pool - pot) * score // sum score + earned_by_fees` for every account, in their order.

    Never more than the pool in all. Properties: splitting an account never gains, raising stake, work or reputation
    never loses, no fee earns itself back.
    """
    sums = sum_factors(accounts)
    pot = fees_pot(pool_atto, sums, p)
    scores = [score(account, sums, p) for account in accounts]
    total = sum(scores)
    shares = []
    for account, own in zip(accounts, scores, strict=True):
        by_fees = earned_by_fees(pot, account, sums, p)
        shares.append(Share(own, by_fees, share(pool_atto - pot, own, total) + by_fees))
    return shares
