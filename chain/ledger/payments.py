"""Payments besides the plain transfer: to many at once, and to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.ledger.supply import move
from chain.wire.bodies import Transfer
from chain.wire.payments import read_donation, read_multi_send


def apply_multi_send(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Pay all of them or none; refuses `tx_insufficient_funds`."""
    payments = read_multi_send(body)
    check_funds(run, sender, payments)
    pay_out(run, sender, payments)
    return tuple(_event(sender, payment) for payment in payments)


def apply_donation(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Give to the reward pool, which the next boundary shares out; refuses `tx_insufficient_funds`."""
    amount, memo = read_donation(body)
    purse = run.overlay.purse(sender)
    if purse.balance_atto < amount:
        raise Refused("tx_insufficient_funds", f"{amount} atto from a balance of {purse.balance_atto}")
    purse.balance_atto -= amount
    move(run.overlay, accounts_atto=-amount, reward_pool_atto=amount)
    attributes = (("sender", sender.hex()), ("amount_atto", str(amount)), ("memo", memo or ""))
    return (Event("donation", attributes),)


def check_funds(run: Execution, payer: bytes, payments: Sequence[Transfer]) -> None:
    due = sum(payment.amount for payment in payments)
    balance = run.overlay.purse(payer).balance_atto
    if balance < due:
        raise Refused("tx_insufficient_funds", f"{due} atto in {len(payments)} payments from a balance of {balance}")


def pay_out(run: Execution, payer: bytes, payments: Sequence[Transfer]) -> None:
    """After `check_funds`."""
    for to, amount in payments:
        run.overlay.purse(payer).balance_atto -= amount
        run.overlay.purse(to).balance_atto += amount


def _event(sender: bytes, payment: Transfer) -> Event:
    attributes = (("sender", sender.hex()), ("to", payment.to.hex()), ("amount_atto", str(payment.amount)))
    return Event("transfer", attributes)
