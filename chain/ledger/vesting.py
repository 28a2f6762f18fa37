"""Vesting: what the genesis document reserves for somebody leaves its share bit by bit.

The note's release chart is missing, so nothing vests unless a genesis document says so.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.ledger.supply import release
from chain.wire.vesting import Vesting, read_vesting_release, vesting_key

_SECOND_NS = 10**9


def vested(amount_atto: int, elapsed_s: int, cliff_s: int, duration_s: int) -> int:
    """`amount * elapsed // duration` atto, 0 before the cliff, all of it at the end; monotone in time."""
    if elapsed_s < cliff_s or elapsed_s < 0:
        return 0
    return amount_atto if elapsed_s >= duration_s else amount_atto * elapsed_s // duration_s


def apply_vesting_release(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Pay the beneficiary what has vested since the last release; refuses `tx_not_registered`, `tx_duplicate`."""
    number = read_vesting_release(body)
    vesting = run.overlay.entry(vesting_key(number), Vesting)
    if vesting is None:
        raise Refused("tx_not_registered", f"no vesting {number}")
    elapsed_s = (run.time_ns - vesting.start_ns) // _SECOND_NS
    due = vested(vesting.amount_atto, elapsed_s, vesting.cliff_s, vesting.duration_s) - vesting.released_atto
    if due <= 0:
        raise Refused("tx_duplicate", f"nothing of vesting {number} has vested since its last release")
    release(run.overlay, vesting.share, due)
    run.overlay.purse(vesting.beneficiary).balance_atto += due
    after = msgspec.structs.replace(vesting, released_atto=vesting.released_atto + due)
    run.overlay.set_entry(vesting_key(number), after)
    attributes = (("beneficiary", vesting.beneficiary.hex()), ("share", vesting.share), ("amount_atto", str(due)))
    return (Event("vesting_release", attributes),)
