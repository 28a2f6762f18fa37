"""Elections by service level and stake: frozen early, drawn by a later beacon, seated with equal power."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from chain.ledger.elections import Frozen, Seed, frozen_key, is_candidate, obstacles, seed_key
from chain.ledger.operators import OPERATORS_KEY, Operator, Operators, operator_key
from chain.ledger.parameters import Parameters
from chain.ledger.seats import seated_keys
from chain.ledger.service_levels import newcomer
from chain.wire.operators import Seats
from chain.wire.state import ServiceLevel, service_key
from chain.wire.transactions import ANKR
from tests.chain.ledger.world import World, account, key

P = Parameters()


def give_work(world: World, *names: str, work: int = 1_000_000) -> None:
    """A service level that a long life of perfect reports would have given."""
    for name in names:
        level = newcomer(world.parameters)
        figures = {"proven_quality": 900_000, "work_uankr_h": work, "proven_level": work * 9 // 10}
        good = {"heartbeats_valid": 10**12, "heartbeats_expected": 10**12, "pog_passed": 10**12, "tasks_done": 10**12}
        entry = msgspec.structs.replace(level, devices=1, epoch=10**6, **good, **figures)
        world.state.entries[service_key(account(name))] = entry.encode()


def election_epochs(world: World, count: int) -> list[tuple[tuple[bytes, int], ...]]:
    """The validator updates of the next `count` election boundaries."""
    seconds = world.parameters.election_epoch_s
    return [world.block(after_s=seconds).validator_updates for _ in range(count)]


def test_the_genesis_set_stays_for_the_first_three_election_epochs() -> None:
    world = World()
    give_work(world, *world.operators)
    world.block()
    assert election_epochs(world, 2) == [(), ()]
    assert len(seated_keys(world.state)) == 4


def test_candidates_are_frozen_three_epochs_ahead_and_the_seed_two() -> None:
    world = World()
    give_work(world, *world.operators[:2])
    world.block()
    election_epochs(world, 1)
    data, seed = world.state.get(frozen_key(3)), world.state.get(seed_key(2))
    assert data is not None and seed is not None
    candidates = Frozen.decode(data).candidates
    assert [candidate.operator for candidate in candidates] == sorted(map(account, world.operators))
    assert {c.operator for c in candidates if c.service_level} == {account("operator-1"), account("operator-2")}
    assert len(Seed.decode(seed).beacon) == 32


def test_without_four_electable_keys_the_previous_set_stays() -> None:
    world = World()
    world.block()
    assert election_epochs(world, 6) == [()] * 6
    assert len(seated_keys(world.state)) == 4


def test_the_longest_seated_retire_and_useful_operators_are_seated() -> None:
    world = World(operators=7)
    give_work(world, *world.operators)
    world.block()
    for retired in range(4, 7):  # not seated at first: as if they had bonded later
        _unseat(world, world.operators[retired])
    before = seated_keys(world.state)
    assert len(before) == 4
    updates = election_epochs(world, 3)
    assert updates[:2] == [(), ()]
    after = seated_keys(world.state)
    changed = dict(updates[2])
    assert len(after) == 7  # every operator has one key and a hundred seats are free
    assert {public for public, power in changed.items() if power} == set(after) - set(before)
    assert all(power in (0, world.parameters.validator_power) for power in changed.values())
    assert after[:3] == before[1:]  # who stayed has sat longest and retires first next time
    for past in range(4):
        assert world.state.get(frozen_key(past)) is None and world.state.get(seed_key(past)) is None


def test_the_same_beacons_elect_the_same_set() -> None:
    def elected() -> bytes:
        world = World(replace(Parameters.demo(), seats=5), operators=12)
        give_work(world, *world.operators)
        world.block()
        election_epochs(world, 5)
        return world.state.entries[b"seats"]

    assert elected() == elected()


def test_a_halt_over_whole_election_epochs_keeps_the_set() -> None:
    world = World(operators=7)
    give_work(world, *world.operators)
    world.block()
    assert world.block(after_s=10 * world.parameters.election_epoch_s).validator_updates == ()
    assert election_epochs(world, 2) == [(), ()]
    leftovers = [entry for entry in world.state.entries if entry.startswith(b"election/")]
    assert frozen_key(3) not in leftovers and len(leftovers) <= 6
    election_epochs(world, 1)
    assert len(seated_keys(world.state)) >= 4


@pytest.mark.parametrize(
    ("operator", "level", "ended", "expected"),
    [
        ({}, {}, 5, ()),
        ({"bond_atto": P.min_bond_atto - 1}, {}, 5, ("bond",)),
        ({"jailed": True}, {}, 5, ("jailed",)),
        ({"tombstoned": True}, {}, 5, ("tombstoned",)),
        ({"keys": ()}, {}, 5, ("keys",)),
        ({"registered_epoch": 4}, {}, 5, ("age",)),
        ({"registered_epoch": 3}, {}, 5, ()),
        ({}, {"proven_level": 999}, 5, ("service_level",)),
        ({}, {"proven_quality": 599_999}, 5, ("quality",)),
        ({"genesis": True}, {"proven_quality": 0, "proven_level": 0}, 2, ()),
        ({"genesis": True, "jailed": True}, {}, 2, ("jailed",)),
        ({"genesis": True}, {"proven_quality": 0, "proven_level": 0}, 3, ("service_level", "quality")),
    ],
)
def test_who_is_a_candidate_and_what_keeps_the_others(
    operator: dict[str, object], level: dict[str, int], ended: int, expected: tuple[str, ...]
) -> None:
    bonded = Operator("op", 100_000 * ANKR, 0, 0, False, False, 0, False, ((bytes(32), bytes(32)),), ())
    useful = msgspec.structs.replace(newcomer(P), proven_quality=600_000, proven_level=1_000)
    asked = (msgspec.structs.replace(bonded, **operator), msgspec.structs.replace(useful, **level), ended, P)
    assert obstacles(*asked) == expected
    assert is_candidate(*asked) is (expected == ())


def _unseat(world: World, name: str) -> None:
    data = world.state.get(b"seats")
    assert data is not None
    seats = tuple(seat for seat in Seats.decode(data).seats if seat.operator != account(name))
    world.state.entries[b"seats"] = Seats(seats).encode()
    # The operator itself stays known, with its bond.
    assert account(name) in Operators.decode(world.state.entries[OPERATORS_KEY]).addresses
    assert Operator.decode(world.state.entries[operator_key(account(name))]).keys[0][0] == (
        key(f"{name} consensus").public.x
    )


def test_a_stale_service_level_fades_before_the_freeze() -> None:
    world = World()
    world.block()
    level = msgspec.structs.replace(newcomer(world.parameters), epoch=0, work_uankr_h=10**14, proven_level=10**9)
    world.state.entries[service_key(account("operator-1"))] = level.encode()
    election_epochs(world, 1)
    data = world.state.get(frozen_key(3))
    assert data is not None
    frozen = {candidate.operator: candidate.service_level for candidate in Frozen.decode(data).candidates}
    assert 0 < frozen[account("operator-1")] < 10**6
    stored = world.state.get(service_key(account("operator-1")))
    assert stored is not None and ServiceLevel.decode(stored) == level
