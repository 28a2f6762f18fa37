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
from chain.ledger.operators import Operator, is_listed, listed_operators, operator_at
from chain.ledger.parameters import Parameters
from chain.ledger.rewards import settled_epoch
from chain.ledger.seats import seats_of, set_seats
from chain.ledger.service_levels import after_silence, service_level_of
from chain.wire.operators import Seat
from chain.wire.state import CLOCK_KEY, Entry, ServiceLevel, reward_epoch_at

FREEZE_AHEAD = 3
SEED_AHEAD = 2


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


def cross_election_boundary(run: Execution, beacon: bytes) -> None:
    """Begin the block's election epoch: elect, freeze the candidates of a later one, keep its seed.

    Only the newest boundary counts when several were missed.
    """
    before, now = run.election_epoch, _election_epoch_at(run)
    if now <= before:
        return
    run.election_epoch = now
    run.overlay.set_entry(CLOCK_KEY, msgspec.structs.replace(clock_of(run.overlay), election_epoch=now))
    if now == 0:
        return
    ended = now - 1
    _elect(run, now)
    run.overlay.set_entry(frozen_key(ended + FREEZE_AHEAD), Frozen(_candidates(run, ended)))
    run.overlay.set_entry(seed_key(ended + SEED_AHEAD), Seed(beacon))
    for past in range(max(0, before + 1), min(before + 1 + FREEZE_AHEAD, now) + 1):
        run.overlay.set_entry(frozen_key(past), None)
        run.overlay.set_entry(seed_key(past), None)


def is_candidate(operator: Operator, level: ServiceLevel, ended_epoch: int, p: Parameters) -> bool:
    """Whether it is among those that the election `FREEZE_AHEAD` epochs after `ended_epoch` draws from."""
    return not obstacles(operator, level, ended_epoch, p)


def obstacles(operator: Operator, level: ServiceLevel, ended_epoch: int, p: Parameters) -> tuple[str, ...]:
    """What keeps it from being a candidate: of tombstoned, jailed, bond, keys, age, service_level, quality.

    Age, service level and quality are not asked of genesis operators in their first epochs.
    """
    standing = (
        ("tombstoned", not operator.tombstoned),
        ("jailed", not operator.jailed),
        ("bond", operator.bond_atto >= p.min_bond_atto),
        ("keys", bool(operator.keys)),
    )
    earned = (
        ("age", ended_epoch - operator.registered_epoch >= p.candidate_age_election_epochs),
        ("service_level", level.proven_level >= p.min_service_level),
        ("quality", level.proven_quality >= p.min_quality),
    )
    exempt = operator.genesis and ended_epoch < p.genesis_election_epochs
    return tuple(word for word, holds in (*standing, *(() if exempt else earned)) if not holds)


def first_election(registered_epoch: int, p: Parameters) -> int:
    """The first election epoch in which an operator that bonded in `registered_epoch` can be seated."""
    return max(p.genesis_election_epochs, registered_epoch + p.candidate_age_election_epochs + FREEZE_AHEAD)


def _candidates(run: Execution, ended_epoch: int) -> tuple[Candidate, ...]:
    """Everybody who is a candidate now, with service levels up to the newest settled reward epoch."""
    p = run.parameters
    settled = settled_epoch(run.reward_epoch - 1, p.challenge_window_epochs)
    candidates = []
    for address in listed_operators(run.overlay):
        operator = operator_at(run.overlay, address)
        assert operator is not None, "the list of operators names one that is not there"
        level = service_level_of(run.overlay, address, p)
        if settled is not None:
            level = after_silence(level, settled, p)
        if is_candidate(operator, level, ended_epoch, p):
            candidates.append(Candidate(address, level.proven_level, operator.bond_atto, len(operator.keys)))
    return tuple(candidates)


def _elect(run: Execution, epoch: int) -> None:
    """Seat the keys of election epoch `epoch`; the previous set stays when fewer than four would be seated.

    Besides those who sat longest, whoever is jailed or has unbonded below the minimum gives up its seats.
    """
    frozen = run.overlay.entry(frozen_key(epoch), Frozen)
    seed = run.overlay.entry(seed_key(epoch), Seed)
    seats = seats_of(run.overlay)
    if epoch < run.parameters.genesis_election_epochs or frozen is None or seed is None or not seats:
        return
    by_id = {(seat.operator, seat.key): seat for seat in seats}
    staying = [seat for seat in slsbft.stay_seated(list(by_id)) if _may_sit(run, seat[0])]
    operators = [
        slsbft.Operator(c.operator, c.service_level, c.bond_atto, c.keys)
        for c in frozen.candidates
        if _may_sit(run, c.operator)
    ]
    drawn = slsbft.elect(seed.beacon, operators, run.parameters.seats, staying)
    if len(staying) + len(drawn) < slsbft.MIN_SEATED:
        return
    set_seats(run, [by_id[seat] for seat in staying] + [Seat(operator, key, epoch) for operator, key in drawn])
    attributes = (("epoch", str(epoch)), ("stayed", str(len(staying))), ("drawn", str(len(drawn))))
    run.events.append(Event("election", attributes))


def _may_sit(run: Execution, address: bytes) -> bool:
    """Whether the operator is still bonded and out of jail, whatever it was when the list was frozen."""
    operator = operator_at(run.overlay, address)
    return operator is not None and is_listed(operator, run.parameters) and not operator.jailed


def _election_epoch_at(run: Execution) -> int:
    return reward_epoch_at(run.time_ns, run.genesis_time_ns, run.parameters.election_epoch_s)
