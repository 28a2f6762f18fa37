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
    """The factors added up over all accounts of the pool."""

    stake_atto: int
    fees_paid_atto: int
    work_uankr_h: int


class Share(NamedTuple):
    """What an account's factors come to: its score and its reward in atto."""

    score: int
    amount_atto: int


def stake_held(bond_atto: int, age_s: int, full_age_s: int) -> int:
    """H: the bond times `min(1, age / 30 d)`, in atto; additive in the bond."""
    return bond_atto * min(max(0, age_s), full_age_s) // full_age_s


def score(account: Factors, sums: Sums, p: Parameters) -> int:
    """`Q * (250*S*H//sumH + 150*S*K//sumK + 600*S*R//sumR) // (1000*S)`; monotone in each factor, superadditive."""
    return account.quality * _parts(account, sums, p) // (PERMILLE * SCALE)


def sum_factors(accounts: Sequence[Factors]) -> Sums:
    return Sums(
        stake_atto=sum(account.stake_atto for account in accounts),
        fees_paid_atto=sum(account.fees_paid_atto for account in accounts),
        work_uankr_h=sum(account.work_uankr_h for account in accounts),
    )


def provider_rewards(pool_atto: int, accounts: Sequence[Factors], p: Parameters) -> list[Share]:
    """`reward = pool * score // sum score` for every account, in their order; never more than the pool in all.

    What an account gets for the fees it paid is at most `gamma` of those fees (900 permille), so paying oneself loses.
    Properties: splitting an account never gains, raising stake, work or reputation never loses.
    """
    sums = sum_factors(accounts)
    scores = [score(account, sums, p) for account in accounts]
    total = sum(scores)
    return [
        Share(own, share(pool_atto, own, total) - _over_cap(pool_atto, account, own, total, sums, p))
        for account, own in zip(accounts, scores, strict=True)
    ]


def _parts(account: Factors, sums: Sums, p: Parameters) -> int:
    return (
        share(p.stake_weight * SCALE, account.stake_atto, sums.stake_atto)
        + share(p.consumption_weight * SCALE, account.fees_paid_atto, sums.fees_paid_atto)
        + share(p.work_weight * SCALE, account.work_uankr_h, sums.work_uankr_h)
    )


def _over_cap(pool_atto: int, account: Factors, own: int, total: int, sums: Sums, p: Parameters) -> int:
    """What the account would earn by its fees above `gamma` times these fees, in atto."""
    if not account.fees_paid_atto:
        return 0
    without_fees = score(account._replace(fees_paid_atto=0), sums, p)
    earned_by_fees = share(pool_atto, own, total) - share(pool_atto, without_fees, total)
    return max(0, earned_by_fees - p.gamma_permille * account.fees_paid_atto // PERMILLE)
