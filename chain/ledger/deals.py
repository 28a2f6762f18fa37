"""Deals: escrow, metered use, the fee and its three shares, ratings.

Source: economics.md "Money": a fee of 5 %, shared by resource provider, application provider and platform 30/30/40 by
largest remainder. What the fee is taken from is a parameter, as the note can be read both ways.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from chain.errors import Malformed, Refused
from chain.ledger.activity import count_activity
from chain.ledger.block import Event, Execution
from chain.ledger.hubs import check_hub
from chain.ledger.parameters import PERMILLE, Parameters
from chain.ledger.shares import largest_remainder
from chain.ledger.staking import stakes_enough
from chain.ledger.supply import move
from chain.wire.deals import (
    DONE,
    Deal,
    deal_id,
    deal_key,
    read_deal_open,
    read_deal_settle,
    read_deal_top_up,
    read_metering_batch,
    read_rate,
)

BASIS_POINTS = 10_000

_SECOND_NS = 10**9


class Payout(NamedTuple):
    """What a settlement moves out of the escrow, in atto; `platform` is the platform's part of the fee."""

    gross: int
    fee: int
    provider: int
    app_provider: int
    platform: int

    @property
    def total(self) -> int:
        return self.provider + self.app_provider + self.platform


def deal_fee(gross_atto: int, p: Parameters) -> int:
    """`gross * 500 // 10 000`."""
    return gross_atto * p.deal_fee_bp // BASIS_POINTS


def split_deal_fee(fee_atto: int, p: Parameters) -> list[int]:
    """Provider, application provider, platform: 30/30/40 %, largest remainder; 50 000 -> 15 000/15 000/20 000."""
    weights = (p.deal_provider_permille, p.deal_app_permille, p.deal_platform_permille)
    return largest_remainder(fee_atto, weights)


def settlement(due_atto: int, escrow_atto: int, app_permille: int, p: Parameters) -> Payout:
    """What is paid of `due` out of the escrow: the gross less the fee (within), or the fee besides (on top).

    The application's licence is `app_permille` of what is not fee. Exact: the parts add up to what leaves the escrow.
    """
    if p.deal_fee_on_top:
        gross = min(due_atto, escrow_atto * BASIS_POINTS // (BASIS_POINTS + p.deal_fee_bp))
        net = gross
    else:
        gross = min(due_atto, escrow_atto)
        net = gross - deal_fee(gross, p)
    fee = deal_fee(gross, p)
    to_provider, to_app, to_platform = split_deal_fee(fee, p)
    licence = net * app_permille // PERMILLE
    return Payout(gross, fee, net - licence + to_provider, licence + to_app, to_platform)


def apply_deal_open(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Open the deal `deal_id(sender, this transaction's nonce)`.

    Refuses `tx_unauthorised` (the platform is no hub), `tx_stake_too_low`, `malformed` (escrow below the least),
    `tx_insufficient_funds`.
    """
    opened = read_deal_open(body)
    check_hub(run, opened.platform, opened.platform)
    if not stakes_enough(run.overlay, opened.provider, run.parameters):
        least = run.parameters.min_provider_stake_atto
        raise Refused("tx_stake_too_low", f"provider {opened.provider.hex()} bonds less than {least} atto")
    if opened.escrow_atto < run.parameters.min_deal_atto:
        raise Malformed("malformed", f"a deal begins with at least {run.parameters.min_deal_atto} atto")
    _into_escrow(run, sender, opened.escrow_atto)
    identifier = deal_id(sender, run.overlay.purse(sender).nonce - 1)
    deal = Deal(
        customer=sender,
        provider=opened.provider,
        app_provider=opened.app_provider,
        platform=opened.platform,
        app_permille=opened.app_permille,
        terms=opened.terms,
        escrow_atto=opened.escrow_atto,
        used_atto=0,
        paid_atto=0,
        metered_ns=run.time_ns,
        exhausted=False,
        outcome=None,
        rated=False,
    )
    run.overlay.set_entry(deal_key(identifier), deal)
    attributes = (
        ("deal", identifier.hex()),
        ("customer", sender.hex()),
        ("provider", opened.provider.hex()),
        ("amount_atto", str(opened.escrow_atto)),
    )
    return (Event("deal_open", attributes),)


def apply_deal_top_up(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Add to an open deal's escrow; refuses `tx_unknown_deal`, `tx_insufficient_funds`."""
    identifier, amount = read_deal_top_up(body)
    deal = _open_deal(run, identifier)
    _into_escrow(run, sender, amount)
    run.overlay.set_entry(deal_key(identifier), msgspec.structs.replace(deal, escrow_atto=deal.escrow_atto + amount))
    return (Event("deal_top_up", (("deal", identifier.hex()), ("amount_atto", str(amount)))),)


def apply_metering_batch(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Record how much of its deals was used so far; refuses `tx_unauthorised`, `tx_unknown_deal`, `malformed`.

    Use is cumulative and never falls; one row that does not hold refuses the whole batch.
    """
    metering = read_metering_batch(body)
    check_hub(run, sender, sender)
    changed = []
    for identifier, used in metering.used:
        deal = _open_deal(run, identifier)
        if deal.platform != sender:
            raise Refused("tx_unauthorised", f"deal {identifier.hex()} is metered by {deal.platform.hex()}")
        if used < deal.used_atto:
            raise Malformed("malformed", f"deal {identifier.hex()} had used {deal.used_atto} atto, not {used}")
        due = settlement(used - deal.paid_atto, deal.escrow_atto, deal.app_permille, run.parameters)
        exhausted = deal.exhausted or due.gross < used - deal.paid_atto
        metered = msgspec.structs.replace(deal, used_atto=used, metered_ns=run.time_ns, exhausted=exhausted)
        changed.append((identifier, metered))
    for identifier, metered in changed:
        run.overlay.set_entry(deal_key(identifier), metered)
    attributes = (("hub", sender.hex()), ("root", metering.root.hex()), ("deals", str(len(changed))))
    return (Event("metering_batch", attributes),)


def apply_deal_settle(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Pay what is metered; with an outcome, close the deal and give the rest back to the customer.

    The platform closes, or the customer when the platform has not metered for `deal_grace_s`. Refuses
    `tx_unknown_deal`, `tx_unauthorised`.
    """
    identifier, outcome = read_deal_settle(body)
    deal = _open_deal(run, identifier)
    if sender not in (deal.customer, deal.provider, deal.platform):
        raise Refused("tx_unauthorised", f"{sender.hex()} is no party of deal {identifier.hex()}")
    if outcome is not None and not _may_close(run, deal, sender):
        raise Refused("tx_unauthorised", "the platform closes a deal, or its customer once the platform is silent")
    due = settlement(deal.used_atto - deal.paid_atto, deal.escrow_atto, deal.app_permille, run.parameters)
    for party, amount in (
        (deal.provider, due.provider),
        (deal.app_provider, due.app_provider),
        (deal.platform, due.platform),
    ):
        run.overlay.purse(party).balance_atto += amount
    move(run.overlay, escrow_atto=-due.total, accounts_atto=due.total)
    if due.platform:
        count_activity(run, deal.customer, fees_paid_atto=due.platform)
    after = msgspec.structs.replace(
        deal, escrow_atto=deal.escrow_atto - due.total, paid_atto=deal.paid_atto + due.gross
    )
    run.overlay.set_entry(deal_key(identifier), after if outcome is None else _closed(run, after, outcome))
    attributes = (
        ("deal", identifier.hex()),
        ("gross_atto", str(due.gross)),
        ("fee_atto", str(due.fee)),
        ("outcome", outcome or ""),
    )
    return (Event("deal_settle", attributes),)


def apply_rate(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Rate the provider of a closed and paid deal, once.

    Refuses `tx_unknown_deal`, `tx_unauthorised`, `tx_duplicate`.
    """
    identifier, stars = read_rate(body)
    deal = run.overlay.entry(deal_key(identifier), Deal)
    if deal is None or deal.outcome is None or not deal.paid_atto:
        raise Refused("tx_unknown_deal", f"no closed and paid deal {identifier.hex()}")
    if deal.customer != sender:
        raise Refused("tx_unauthorised", f"deal {identifier.hex()} is rated by its customer")
    if deal.rated:
        raise Refused("tx_duplicate", f"deal {identifier.hex()} is rated already")
    run.overlay.set_entry(deal_key(identifier), msgspec.structs.replace(deal, rated=True))
    count_activity(run, deal.provider, stars_sum=stars, ratings=1)
    return (Event("rate", (("deal", identifier.hex()), ("provider", deal.provider.hex()), ("stars", str(stars)))),)


def _open_deal(run: Execution, identifier: bytes) -> Deal:
    deal = run.overlay.entry(deal_key(identifier), Deal)
    if deal is None or deal.outcome is not None:
        raise Refused("tx_unknown_deal", f"no open deal {identifier.hex()}")
    return deal


def _may_close(run: Execution, deal: Deal, sender: bytes) -> bool:
    silent = run.time_ns > deal.metered_ns + run.parameters.deal_grace_s * _SECOND_NS
    return sender == deal.platform or (sender == deal.customer and silent)


def _closed(run: Execution, deal: Deal, outcome: str) -> Deal:
    """The closed deal; the rest of the escrow goes back, and both sides' records are written."""
    run.overlay.purse(deal.customer).balance_atto += deal.escrow_atto
    move(run.overlay, escrow_atto=-deal.escrow_atto, accounts_atto=deal.escrow_atto)
    if outcome == DONE:
        count_activity(run, deal.provider, tasks_done=1)
    else:
        count_activity(run, deal.provider, tasks_failed=1)
    if deal.paid_atto < deal.used_atto:
        count_activity(run, deal.customer, deals_defaulted=1)
    elif deal.exhausted:
        count_activity(run, deal.customer, deals_late=1)
    else:
        count_activity(run, deal.customer, deals_on_time=1)
    return msgspec.structs.replace(deal, escrow_atto=0, outcome=outcome)


def _into_escrow(run: Execution, payer: bytes, amount_atto: int) -> None:
    purse = run.overlay.purse(payer)
    if purse.balance_atto < amount_atto:
        raise Refused("tx_insufficient_funds", f"{amount_atto} atto from a balance of {purse.balance_atto}")
    purse.balance_atto -= amount_atto
    move(run.overlay, accounts_atto=-amount_atto, escrow_atto=amount_atto)
