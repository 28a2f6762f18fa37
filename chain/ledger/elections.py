"""Elections of block producers: who is a candidate, when the list is frozen, whose beacon draws, who is seated.

Source: economics.md "Block producers". For election epoch e, candidates are frozen at the end of e-3 and the seed is
the beacon at the end of e-2, so nobody can fit an identity to a known seed. For e < 3 the genesis set stays; so does
the set in force when a freeze or a seed is missing because the chain halted over whole election epochs.
"""

from __future__ import annotations

import msgspec

from chain import slsbft
from chain.ledger.block import Event, Execution
from chain.ledger.epochs import clock_of
from chain.ledger.operators import (
    OPERATORS_KEY,
    SEATS_KEY,
    Operator,
    Operators,
    Seat,
    Seats,
    consensus_public,
    operator_at,
)
from chain.ledger.parameters import Parameters
from chain.ledger.rewards import settled_epoch
from chain.ledger.service_levels import after_silence, service_level_of
from chain.wire.state import CLOCK_KEY, Entry, ServiceLevel, reward_epoch_at

FREEZE_AHEAD = 3
SEED_AHEAD = 2

Update = tuple[bytes, int]


class Candidate(Entry, frozen=True):
    """An operator as it stood when the list was frozen."""

    operator: bytes
    service_level: int
    bond_atto: int
    keys: int


class Frozen(Entry, frozen=True):
    """The candidates of one election, ascending by operator."""

    candidates: tuple[Candidate, ...]


class Seed(Entry, frozen=True):
    """The beacon that draws one election."""

    beacon: bytes


def frozen_key(election_epoch: int) -> bytes:
    return b"election/candidates/" + election_epoch.to_bytes(8, "big")


def seed_key(election_epoch: int) -> bytes:
    return b"election/seed/" + election_epoch.to_bytes(8, "big")


def is_election_boundary(run: Execution) -> bool:
    return _election_epoch_at(run) > run.election_epoch


def cross_election_boundary(run: Execution, beacon: bytes) -> tuple[Update, ...]:
    """Begin the block's election epoch: freeze, keep the seed, elect; returns changed (Ed25519 key, power).

    Only the newest boundary counts when several were missed.
    """
    before, now = run.election_epoch, _election_epoch_at(run)
    if now <= before:
        return ()
    run.election_epoch = now
    run.overlay.set_entry(CLOCK_KEY, msgspec.structs.replace(clock_of(run.overlay), election_epoch=now))
    if now == 0:
        return ()
    ended = now - 1
    updates = _elect(run, now)
    run.overlay.set_entry(frozen_key(ended + FREEZE_AHEAD), Frozen(_candidates(run, ended)))
    run.overlay.set_entry(seed_key(ended + SEED_AHEAD), Seed(beacon))
    for past in range(max(0, before + 1), min(before + 1 + FREEZE_AHEAD, now) + 1):
        run.overlay.set_entry(frozen_key(past), None)
        run.overlay.set_entry(seed_key(past), None)
    return updates


def is_candidate(operator: Operator, level: ServiceLevel, ended_epoch: int, p: Parameters) -> bool:
    """Bonded, good and useful enough, not jailed, registered long enough; genesis operators are exempt at first."""
    if operator.jailed or not operator.keys or operator.bond_atto < p.min_bond_atto:
        return False
    if operator.genesis and ended_epoch < p.genesis_election_epochs:
        return True
    old_enough = ended_epoch - operator.registered_epoch >= p.candidate_age_election_epochs
    return old_enough and level.service_level >= p.min_service_level and level.quality >= p.min_quality


def _candidates(run: Execution, ended_epoch: int) -> tuple[Candidate, ...]:
    """Everybody who is a candidate now, with service levels up to the newest settled reward epoch."""
    p = run.parameters
    settled = settled_epoch(run.reward_epoch - 1, p.challenge_window_epochs)
    known = run.overlay.entry(OPERATORS_KEY, Operators) or Operators(())
    candidates = []
    for address in known.addresses:
        operator = operator_at(run.overlay, address)
        assert operator is not None, "the list of operators names one that is not there"
        level = service_level_of(run.overlay, address, p)
        if settled is not None:
            level = after_silence(level, settled, p)
        if is_candidate(operator, level, ended_epoch, p):
            candidates.append(Candidate(address, level.service_level, operator.bond_atto, len(operator.keys)))
    return tuple(candidates)


def _elect(run: Execution, epoch: int) -> tuple[Update, ...]:
    """Seat the keys of election epoch `epoch`; the previous set stays when fewer than four would be seated."""
    frozen = run.overlay.entry(frozen_key(epoch), Frozen)
    seed = run.overlay.entry(seed_key(epoch), Seed)
    current = run.overlay.entry(SEATS_KEY, Seats)
    if epoch < run.parameters.genesis_election_epochs or frozen is None or seed is None or current is None:
        return ()
    by_id = {(seat.operator, seat.key): seat for seat in current.seats}
    staying = slsbft.stay_seated(list(by_id))
    operators = [slsbft.Operator(c.operator, c.service_level, c.bond_atto, c.keys) for c in frozen.candidates]
    drawn = slsbft.elect(seed.beacon, operators, run.parameters.seats, staying)
    if len(staying) + len(drawn) < slsbft.MIN_SEATED:
        return ()
    seats = [by_id[seat] for seat in staying] + [Seat(operator, key, epoch) for operator, key in drawn]
    run.overlay.set_entry(SEATS_KEY, Seats(tuple(seats)))
    attributes = (("epoch", str(epoch)), ("stayed", str(len(staying))), ("drawn", str(len(drawn))))
    run.events.append(Event("election", attributes))
    return _changes(run, list(by_id), [*staying, *drawn])


def _changes(run: Execution, before: list[slsbft.Seat], after: list[slsbft.Seat]) -> tuple[Update, ...]:
    """Keys that lost their seat with power 0, then keys that won one."""
    lost = [(consensus_public(run.overlay, *seat), 0) for seat in before if seat not in after]
    power = run.parameters.validator_power
    won = [(consensus_public(run.overlay, *seat), power) for seat in after if seat not in before]
    return (*lost, *won)


def _election_epoch_at(run: Execution) -> int:
    return reward_epoch_at(run.time_ns, run.genesis_time_ns, run.parameters.election_epoch_s)
