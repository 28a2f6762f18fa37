"""The keys that are seated now, and what a block changed about them.

Elections, rotated keys and offences change seats in one block; the engine is told the difference between its start and
its end, each key at most once.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain.ledger.block import Event, Execution
from chain.ledger.operators import consensus_public
from chain.ledger.overlay import Overlay, State
from chain.wire.operators import SEATS_KEY, Seat, Seats

Update = tuple[bytes, int]


def seats_of(overlay: Overlay) -> tuple[Seat, ...]:
    entry = overlay.entry(SEATS_KEY, Seats)
    return () if entry is None else entry.seats


def seated_keys(state: State) -> tuple[bytes, ...]:
    """Consensus public keys (Ed25519, 32 bytes) of the seats in force."""
    return seat_publics(Overlay(state))


def remember_seats(run: Execution) -> None:
    """To be called before seats, or the keys behind them, change: what the block began with."""
    if run.seated_before is None:
        run.seated_before = seat_publics(run.overlay)


def set_seats(run: Execution, seats: Sequence[Seat]) -> None:
    remember_seats(run)
    run.overlay.set_entry(SEATS_KEY, Seats(tuple(seats)))


def unseat(run: Execution, operator: bytes, at_least: int) -> None:
    """Take the operator's seats from it, unless fewer than `at_least` would be left: then the set stays."""
    seats = seats_of(run.overlay)
    others = [seat for seat in seats if seat.operator != operator]
    if len(others) == len(seats) or len(others) < at_least:
        return
    set_seats(run, others)
    attributes = (("operator", operator.hex()), ("seats", str(len(seats) - len(others))))
    run.events.append(Event("unseat", attributes))


def validator_updates(run: Execution) -> tuple[Update, ...]:
    """Keys that lost their seat in this block with power 0, then keys that won one."""
    before = run.seated_before
    if before is None:
        return ()
    after = seat_publics(run.overlay)
    lost = [(public, 0) for public in before if public not in after]
    won = [(public, run.parameters.validator_power) for public in after if public not in before]
    return (*lost, *won)


def seat_publics(overlay: Overlay) -> tuple[bytes, ...]:
    """Consensus public keys of the seats, longest-seated first."""
    return tuple(consensus_public(overlay, seat.operator, seat.key) for seat in seats_of(overlay))
