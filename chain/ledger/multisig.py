"""Accounts with several owners: one member spends up to a daily limit, more needs the others.

Source: the note's treasury (above the limit 2 of 3 must sign). Days are those of UTC by header time. A spend above the
limit waits, at most `multisig_spend_s`, until enough members agree; it is paid by the last approval or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.ledger.payments import check_funds, pay_out
from chain.wire.bodies import Transfer
from chain.wire.payments import (
    Multisig,
    OpenSpend,
    multisig_address,
    multisig_key,
    read_multisig_approve,
    read_multisig_create,
    read_multisig_spend,
    spend_key,
)

MAX_OPEN_SPENDS = 16

_SECOND_NS = 10**9
_DAY_NS = 86_400 * _SECOND_NS


def apply_multisig_create(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Make the account at `multisig_address(sender, this transaction's nonce)`; what it holds, it is sent."""
    policy = read_multisig_create(body)
    account = multisig_address(sender, run.overlay.purse(sender).nonce - 1)
    entry = Multisig(policy.members, policy.threshold, policy.daily_limit_atto, 0, 0, 0, ())
    run.overlay.set_entry(multisig_key(account), entry)
    return (Event("multisig_create", (("account", account.hex()), ("creator", sender.hex()))),)


def apply_multisig_spend(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Pay at once within the day's limit, else open a spend that others may approve.

    Refuses `tx_unauthorised` (no member, no such account), `tx_insufficient_funds`, `tx_limit` (too many open).
    """
    account, payments = read_multisig_spend(body)
    multisig = _member_of(run, account, sender)
    check_funds(run, account, payments)
    day, amount = run.time_ns // _DAY_NS, sum(payment.amount for payment in payments)
    spent = (multisig.spent_atto if multisig.day == day else 0) + amount
    if spent <= multisig.daily_limit_atto:
        return _pay(run, account, payments, msgspec.structs.replace(multisig, day=day, spent_atto=spent))
    if multisig.threshold == 1:
        return _pay(run, account, payments, multisig)
    return _open(run, account, payments, multisig, sender)


def apply_multisig_approve(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Agree to an open spend; the approval that makes it enough pays it.

    Refuses `tx_unauthorised`, `tx_late` (no such spend, or it expired), `tx_duplicate`, `tx_insufficient_funds`.
    """
    account, number = read_multisig_approve(body)
    multisig = _member_of(run, account, sender)
    spend = run.overlay.entry(spend_key(account, number), OpenSpend) if number in multisig.open else None
    if spend is None or run.time_ns > spend.expires_ns:
        raise Refused("tx_late", f"account {account.hex()} has no open spend {number}")
    if sender in spend.approvals:
        raise Refused("tx_duplicate", f"{sender.hex()} agreed to spend {number} already")
    approvals = (*spend.approvals, sender)
    if len(approvals) < multisig.threshold:
        run.overlay.set_entry(spend_key(account, number), msgspec.structs.replace(spend, approvals=approvals))
        return (_event("multisig_approve", account, number, sender),)
    payments = [Transfer(*payment) for payment in spend.payments]
    check_funds(run, account, payments)
    run.overlay.set_entry(spend_key(account, number), None)
    left = tuple(each for each in multisig.open if each != number)
    paid = _pay(run, account, payments, msgspec.structs.replace(multisig, open=left))
    return (_event("multisig_approve", account, number, sender), *paid)


def _member_of(run: Execution, account: bytes, sender: bytes) -> Multisig:
    multisig = run.overlay.entry(multisig_key(account), Multisig)
    if multisig is None or sender not in multisig.members:
        raise Refused("tx_unauthorised", f"{sender.hex()} is no member of a multisig account {account.hex()}")
    return multisig


def _pay(run: Execution, account: bytes, payments: Sequence[Transfer], after: Multisig) -> tuple[Event, ...]:
    pay_out(run, account, payments)
    run.overlay.set_entry(multisig_key(account), after)
    return tuple(
        Event("transfer", (("sender", account.hex()), ("to", to.hex()), ("amount_atto", str(amount))))
        for to, amount in payments
    )


def _open(
    run: Execution, account: bytes, payments: Sequence[Transfer], multisig: Multisig, sender: bytes
) -> tuple[Event, ...]:
    alive = tuple(number for number in multisig.open if not _has_expired(run, account, number))
    if len(alive) >= MAX_OPEN_SPENDS:
        raise Refused("tx_limit", f"account {account.hex()} has {MAX_OPEN_SPENDS} open spends")
    for number in multisig.open:
        if number not in alive:
            run.overlay.set_entry(spend_key(account, number), None)
    number = multisig.next_number
    expires_ns = run.time_ns + run.parameters.multisig_spend_s * _SECOND_NS
    spend = OpenSpend(tuple((to, amount) for to, amount in payments), (sender,), expires_ns)
    run.overlay.set_entry(spend_key(account, number), spend)
    after = msgspec.structs.replace(multisig, next_number=number + 1, open=(*alive, number))
    run.overlay.set_entry(multisig_key(account), after)
    return (_event("multisig_open", account, number, sender),)


def _has_expired(run: Execution, account: bytes, number: int) -> bool:
    spend = run.overlay.entry(spend_key(account, number), OpenSpend)
    assert spend is not None, "an open spend that is not there"
    return run.time_ns > spend.expires_ns


def _event(kind: str, account: bytes, number: int, member: bytes) -> Event:
    return Event(kind, (("account", account.hex()), ("number", str(number)), ("member", member.hex())))
