"""The way out of jail: an operator that missed blocks asks for it itself, when its time is over."""

from __future__ import annotations

from typing import Any

import msgspec

from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.ledger.operators import known_operator, put_operator
from chain.wire.staking import read_unjail


def apply_unjail(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Become a candidate again; refuses `tx_unknown_operator`, `tx_jailed` (not jailed, too early, or for ever)."""
    read_unjail(body)
    operator = known_operator(run.overlay, sender)
    if not operator.jailed:
        raise Refused("tx_jailed", f"{operator.name!r} is not jailed")
    if operator.tombstoned:
        raise Refused("tx_jailed", "an operator that signed twice never produces blocks again")
    if run.time_ns < operator.jailed_until_ns:
        raise Refused("tx_jailed", f"jailed until {operator.jailed_until_ns} ns, this block is at {run.time_ns} ns")
    freed = msgspec.structs.replace(operator, jailed=False, jailed_until_ns=0)
    put_operator(run.overlay, sender, freed, run.parameters)
    return (Event("unjail", (("operator", sender.hex()),)),)
