"""Stake on its way out: it waits for `unbonding_s`, stays slashable, and is paid from a reward epoch's boundary on.

Source: economics.md "Money" and the habit of proof-of-stake networks (21 days). What is due is paid first in, first
out, at most `unbonds_per_block` in a block; what does not fit follows in the next blocks.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chain.ledger.block import Event, Execution
from chain.ledger.operators import operator_at, put_operator
from chain.ledger.overlay import Overlay
from chain.ledger.supply import move
from chain.wire.operators import Unbonding, unbonding_key
from chain.wire.state import Entry

UNBONDINGS_KEY = b"unbondings"
MAX_UNBONDINGS = 16

_SECOND_NS = 10**9


class Unbondings(Entry, frozen=True):
    """Numbers `first` to `end - 1` wait; those that had matured at the boundary of `matured_ns` are being paid."""

    first: int
    end: int
    matured_ns: int


def begin_unbonding(run: Execution, operator: bytes, amount_atto: int) -> int:
    """Put the amount behind those that wait; returns its number."""
    queue = _queue(run.overlay)
    matures_ns = run.time_ns + run.parameters.unbonding_s * _SECOND_NS
    run.overlay.set_entry(unbonding_key(queue.end), Unbonding(operator, amount_atto, run.height, matures_ns))
    run.overlay.set_entry(UNBONDINGS_KEY, msgspec.structs.replace(queue, end=queue.end + 1))
    return queue.end


def mature(run: Execution) -> None:
    """At a boundary: whatever has waited long enough becomes due."""
    queue = _queue(run.overlay)
    if queue.first < queue.end:
        run.overlay.set_entry(UNBONDINGS_KEY, msgspec.structs.replace(queue, matured_ns=run.time_ns))


def unbondings_due(overlay: Overlay) -> bool:
    queue = _queue(overlay)
    return queue.first < queue.end and _at(overlay, queue.first).matures_ns <= queue.matured_ns


def pay_matured(run: Execution) -> None:
    """Pay what is due, as much of it as a block may."""
    paid_atto = paid = 0
    while paid < run.parameters.unbonds_per_block and unbondings_due(run.overlay):
        queue = _queue(run.overlay)
        unbonding = _at(run.overlay, queue.first)
        run.overlay.purse(unbonding.operator).balance_atto += unbonding.amount_atto
        _forget(run, unbonding.operator, queue.first)
        run.overlay.set_entry(unbonding_key(queue.first), None)
        run.overlay.set_entry(UNBONDINGS_KEY, msgspec.structs.replace(queue, first=queue.first + 1))
        attributes = (("operator", unbonding.operator.hex()), ("amount_atto", str(unbonding.amount_atto)))
        run.events.append(Event("unbonded", attributes))
        paid_atto += unbonding.amount_atto
        paid += 1
    if paid_atto:
        move(run.overlay, bonds_atto=-paid_atto, accounts_atto=paid_atto)


def reduce_unbonding(run: Execution, number: int, ppm: int, slashed: Callable[[int, int], int]) -> int:
    """Slash what waits under this number; returns the atto taken."""
    unbonding = _at(run.overlay, number)
    taken = slashed(unbonding.amount_atto, ppm)
    left = msgspec.structs.replace(unbonding, amount_atto=unbonding.amount_atto - taken)
    run.overlay.set_entry(unbonding_key(number), left)
    return taken


def _forget(run: Execution, address: bytes, number: int) -> None:
    operator = operator_at(run.overlay, address)
    assert operator is not None, "an unbonding of nobody"
    left = tuple(each for each in operator.unbonding if each != number)
    put_operator(run.overlay, address, msgspec.structs.replace(operator, unbonding=left), run.parameters)


def _queue(overlay: Overlay) -> Unbondings:
    return overlay.entry(UNBONDINGS_KEY, Unbondings) or Unbondings(0, 0, 0)


def _at(overlay: Overlay, number: int) -> Unbonding:
    entry = overlay.entry(unbonding_key(number), Unbonding)
    assert entry is not None, "a hole in the queue of unbondings"
    return entry
