"""Transfers: ANKR from the sender to any address."""

from __future__ import annotations

from typing import Any

from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.wire.bodies import read_transfer


def apply_transfer(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Move the amount; refuses `tx_insufficient_funds`. The fee comes on top of the amount, never out of it."""
    to, amount = read_transfer(body)
    purse = run.overlay.purse(sender)
    if purse.balance_atto < amount:
        raise Refused("tx_insufficient_funds", f"{amount} atto from a balance of {purse.balance_atto}")
    purse.balance_atto -= amount
    run.overlay.purse(to).balance_atto += amount
    return (Event("transfer", (("sender", sender.hex()), ("to", to.hex()), ("amount_atto", str(amount)))),)
