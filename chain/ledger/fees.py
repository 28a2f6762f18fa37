"""Transaction fees: what is due, who pays, and who gets it.

Source: the note (fixed fee of 5 ANKR) and economics.md "Money". A block's fees are added up while it runs and settled
once at its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chain.errors import Refused
from chain.ledger.block import Execution
from chain.ledger.parameters import PERMILLE, Parameters
from chain.ledger.shares import largest_remainder
from chain.ledger.supply import move
from chain.wire.state import Entry, required_fee


class FeeSplit(NamedTuple):
    """Parts of a block's fees in atto; they add up to the fees."""

    proposer: int
    precommits: int
    reward_pool: int


class Sponsorship(Entry, frozen=True):
    """How many fees a sponsor has paid for an owner in `election_epoch`."""

    election_epoch: int
    count: int


def split_fee(fees_atto: int, p: Parameters) -> FeeSplit:
    """Half to the proposer's operator, 30 % to the operators in the LastCommit, the rest to the reward pool.

    The first two are rounded down, so the parts add up exactly. 5 ANKR: 2.5, 1.5, 1.
    """
    proposer = fees_atto * p.fee_proposer_permille // PERMILLE
    precommits = fees_atto * p.fee_precommits_permille // PERMILLE
    return FeeSplit(proposer, precommits, fees_atto - proposer - precommits)


def check_fee(fee_atto: int, size_bytes: int, p: Parameters) -> None:
    """Refuse `tx_fee_too_low` below what a transaction of this size must pay."""
    plain = size_bytes <= p.bulk_free_bytes
    least = p.transaction_fee_atto if plain else required_fee(size_bytes, p.by_name)
    if fee_atto < least:
        raise Refused("tx_fee_too_low", f"a fee of {fee_atto} atto, {size_bytes} bytes must pay {least}")


def sponsored(run: Execution, sponsor: bytes, owner: bytes) -> Sponsorship:
    """The sponsorship after one more fee for `owner`; refuses `tx_quota` when the sponsor's quota is used up."""
    epoch = max(0, run.election_epoch)
    before = run.overlay.entry(sponsorship_key(sponsor, owner), Sponsorship)
    used = before.count if before is not None and before.election_epoch == epoch else 0
    quota = run.parameters.sponsor_quota
    if used >= quota:
        raise Refused("tx_quota", f"sponsor {sponsor.hex()} paid {used} of {quota} fees for this owner already")
    return Sponsorship(epoch, used + 1)


def sponsorship_key(sponsor: bytes, owner: bytes) -> bytes:
    return b"sponsored/" + sponsor + owner


def settle_fees(run: Execution, proposer: bytes, precommits: Mapping[bytes, int]) -> None:
    """Hand out the block's fees: `proposer` is the operator's address, `precommits` counts keys by operator.

    Without a LastCommit (the first block) its part goes to the reward pool. Exact to the last unit.
    """
    if not run.fees_atto:
        return
    split = split_fee(run.fees_atto, run.parameters)
    parts = largest_remainder(split.precommits, list(precommits.values()))
    run.overlay.purse(proposer).balance_atto += split.proposer
    for operator, amount in zip(precommits, parts, strict=True):
        run.overlay.purse(operator).balance_atto += amount
    to_pool = run.fees_atto - split.proposer - sum(parts)
    move(run.overlay, accounts_atto=-to_pool, reward_pool_atto=to_pool)
    run.fees_atto = 0
