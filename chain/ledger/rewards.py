"""The end of a reward epoch: emission and fees are shared out by proven work, precommits and accepted batches.

Source: economics.md "Money". Every number that a reward rests on goes into its explanation; what has no recipient goes
back to the mining pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chain.ledger.activity import NOTHING, take_activities
from chain.ledger.batches import Batch, merge_entries, take_batches
from chain.ledger.block import Event, Execution
from chain.ledger.disputes import stands
from chain.ledger.emission import emission, split_emission
from chain.ledger.factors import Factors, consumer_rewards, fees_pot, provider_rewards, stake_held, sum_factors
from chain.ledger.operators import operator_at
from chain.ledger.participation import participation, reset_participation
from chain.ledger.payouts import Payment, enqueue
from chain.ledger.service_levels import after_activity, after_report, service_level_of
from chain.ledger.shares import share
from chain.ledger.staking import stakes_enough
from chain.ledger.supply import move, supply_of
from chain.wire.bodies import BatchEntry
from chain.wire.state import ConsumerReward, CountReward, EpochSummary, ProviderReward, epoch_key, service_key

_SECOND_NS = 10**9


class _Earned(NamedTuple):
    """Rewards of one boundary by role and address."""

    providers: Mapping[bytes, ProviderReward]
    producers: Mapping[bytes, CountReward]
    verifiers: Mapping[bytes, CountReward]
    consumers: Mapping[bytes, ConsumerReward]


def close_epoch(run: Execution, epoch: int) -> None:
    """Share out at the boundary that ends `epoch`, which the block `run` crosses; credits follow by `payouts.pay`."""
    p = run.parameters
    settled = settled_epoch(epoch, p.challenge_window_epochs)
    batches = () if settled is None else _undisputed(run, settled)
    supply = supply_of(run.overlay)
    emitted = emission(supply.mining_atto, p.reward_epoch_s, p.emission_horizon_h)
    pools = split_emission(emitted + supply.reward_pool_atto, p)
    levels = {} if settled is None else _settled_accounts(run, settled, epoch, batches)
    providers = {} if settled is None else _provider_rewards(run, settled, levels, pools.providers)
    earned = _Earned(
        providers=providers,
        producers=count_rewards(pools.producers, dict(participation(run.overlay)), epoch),
        verifiers=count_rewards(pools.verifiers, {batch.reference.hub: 1 for batch in batches}, settled or 0),
        consumers=_consumer_rewards(run, settled or 0, levels, providers, pools.consumers),
    )
    payments = _payments(earned, epoch)
    paid = sum(payment.amount_atto for payment in payments)
    move(
        run.overlay,
        mining_atto=supply.reward_pool_atto - paid,
        reward_pool_atto=-supply.reward_pool_atto,
        payable_atto=paid,
    )
    enqueue(run, payments)
    reset_participation(run.overlay)
    summary = EpochSummary(
        epoch=epoch,
        height=run.height,
        time_ns=run.time_ns,
        emission_atto=emitted,
        fees_atto=supply.reward_pool_atto,
        settled_epoch=settled,
        batches=tuple(batch.reference for batch in batches),
        providers_atto=sum(reward.amount_atto for reward in earned.providers.values()),
        producers_atto=sum(reward.amount_atto for reward in earned.producers.values()),
        verifiers_atto=sum(reward.amount_atto for reward in earned.verifiers.values()),
        consumers_atto=sum(reward.amount_atto for reward in earned.consumers.values()),
        returned_atto=emitted + supply.reward_pool_atto - paid,
        recipients=len(payments),
        mining_left_atto=supply_of(run.overlay).mining_atto,
    )
    _keep_summary(run, summary)


def _undisputed(run: Execution, settled: int) -> tuple[Batch, ...]:
    """The epoch's batches, without those whose hub owes an answer."""
    batches = take_batches(run.overlay, settled)
    return tuple(batch for batch in batches if stands(run, settled, batch.reference.hub))


def settled_epoch(closed_epoch: int, window_epochs: int) -> int | None:
    """Which epoch's batches are paid at the boundary that ends `closed_epoch`: e with `closed = e + 1 + window`."""
    settled = closed_epoch - 1 - window_epochs
    return settled if settled >= 0 else None


def count_rewards(pool_atto: int, counts: Mapping[bytes, int], reward_epoch: int) -> dict[bytes, CountReward]:
    """`pool * count // sum` for every address with a count; producers share by precommits, verifiers by batches."""
    total = sum(counts.values())
    return {
        address: CountReward(reward_epoch, count, total, pool_atto, share(pool_atto, count, total))
        for address, count in counts.items()
        if count
    }


class _Account(NamedTuple):
    """An account of the settled epoch: what was reported of its work, if anything, and its factors."""

    report: BatchEntry | None
    factors: Factors


def _settled_accounts(run: Execution, settled: int, closed: int, batches: tuple[Batch, ...]) -> dict[bytes, _Account]:
    """Fold the epoch's reports, deals, ratings and fees into the service levels; ascending by address."""
    reports = {entry.owner: entry for entry in merge_entries(batches)}
    activities = take_activities(run.overlay, settled)
    accounts = {}
    for owner in sorted({**reports, **activities}):
        report, activity = reports.get(owner), activities.get(owner, NOTHING)
        before = service_level_of(run.overlay, owner, run.parameters)
        if report is None:
            level = after_activity(before, activity, settled, run.parameters)
        else:
            level = after_report(before, report, settled, run.parameters, activity)
        run.overlay.set_entry(service_key(owner), level)
        stake, work = _stake_of(run, owner, closed), 0 if report is None else report.work
        accounts[owner] = _Account(report, Factors(level.proven_quality, stake, activity.fees_paid_atto, work))
    return accounts


def _provider_rewards(
    run: Execution, settled: int, settled_accounts: Mapping[bytes, _Account], pool_atto: int
) -> dict[bytes, ProviderReward]:
    """Share the pool by the four factors among all whose work was reported and who stake enough to be paid for it."""
    entries, accounts = [], []
    for owner, (report, factors) in settled_accounts.items():
        if report is not None:
            entries.append(report)
            paid = stakes_enough(run.overlay, owner, run.parameters)
            accounts.append(factors if paid else Factors(0, 0, 0, 0))
    sums = sum_factors(accounts)
    shares = provider_rewards(pool_atto, accounts, run.parameters)
    score_sum = sum(own.score for own in shares)
    return {
        entry.owner: ProviderReward(
            reward_epoch=settled,
            heartbeats_valid=entry.heartbeats_valid,
            heartbeats_expected=entry.heartbeats_expected,
            pog_passed=entry.pog_passed,
            pog_failed=entry.pog_failed,
            p95_ms=entry.p95_ms,
            quality=account.quality,
            stake_atto=account.stake_atto,
            stake_sum_atto=sums.stake_atto,
            fees_paid_atto=account.fees_paid_atto,
            fees_paid_sum_atto=sums.fees_paid_atto,
            work_uankr_h=account.work_uankr_h,
            work_sum_uankr_h=sums.work_uankr_h,
            score=own.score,
            score_sum=score_sum,
            pool_atto=pool_atto,
            fees_pot_atto=fees_pot(pool_atto, sums, run.parameters),
            quality_fees_sum=sums.quality_fees,
            by_fees_atto=own.by_fees_atto,
            amount_atto=own.amount_atto,
        )
        for entry, account, own in zip(entries, accounts, shares, strict=True)
    }


def _consumer_rewards(
    run: Execution,
    settled: int,
    accounts: Mapping[bytes, _Account],
    providers: Mapping[bytes, ProviderReward],
    pool_atto: int,
) -> dict[bytes, ConsumerReward]:
    """Share the consumers' pool by fees paid and reputation."""
    payers = {owner: account.factors for owner, account in accounts.items() if account.factors.fees_paid_atto}
    earned = [providers[owner].by_fees_atto if owner in providers else 0 for owner in payers]
    amounts = consumer_rewards(pool_atto, list(payers.values()), earned, run.parameters)
    total = sum(factors.quality * factors.fees_paid_atto for factors in payers.values())
    return {
        owner: ConsumerReward(settled, factors.quality, factors.fees_paid_atto, total, before, pool_atto, amount)
        for (owner, factors), before, amount in zip(payers.items(), earned, amounts, strict=True)
    }


def _stake_of(run: Execution, owner: bytes, closed: int) -> int:
    """The stake that `owner` holds, by its age when epoch `closed` ended."""
    operator = operator_at(run.overlay, owner)
    if operator is None:
        return 0
    ended_ns = run.genesis_time_ns + (closed + 1) * run.parameters.reward_epoch_s * _SECOND_NS
    age_s = (ended_ns - operator.bonded_at_ns) // _SECOND_NS
    return stake_held(operator.bond_atto, age_s, run.parameters.stake_full_age_s)


def _payments(earned: _Earned, epoch: int) -> list[Payment]:
    """One payment per address, ascending; roles that earned nothing are null."""
    addresses = sorted({**earned.providers, **earned.producers, **earned.verifiers, **earned.consumers})
    payments = []
    for address in addresses:
        provider = earned.providers.get(address)
        producer = earned.producers.get(address)
        verifier = earned.verifiers.get(address)
        consumer = earned.consumers.get(address)
        amount = sum(role.amount_atto for role in (provider, producer, verifier, consumer) if role is not None)
        payments.append(Payment(address, amount, epoch, provider, producer, verifier, consumer))
    return payments


def _keep_summary(run: Execution, summary: EpochSummary) -> None:
    run.overlay.set_entry(epoch_key(summary.epoch), summary)
    outdated = summary.epoch - run.parameters.epoch_summaries_kept
    if outdated >= 0:
        run.overlay.set_entry(epoch_key(outdated), None)
    attributes = (
        ("epoch", str(summary.epoch)),
        ("emission_atto", str(summary.emission_atto)),
        ("returned_atto", str(summary.returned_atto)),
        ("recipients", str(summary.recipients)),
    )
    run.events.append(Event("reward_epoch", attributes))
