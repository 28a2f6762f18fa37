"""The core in a hostile world: hundreds of seeds here, thousands under `slow`, and bugs that must be found."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from chain.consensus.conditions import Conditions, SimulationFailure
from chain.consensus.core import Core
from chain.consensus.messages import NO_ROUND
from chain.consensus.simulator import Simulation

CALM = Conditions(heights=50)
LOSSY = Conditions(heights=3, loss=300, duplicates=100, partitions=4, pause_us=5_000, faults_end_us=300_000)
CRASHES = Conditions(heights=3, loss=100, crashes=8, partitions=3, pause_us=5_000, faults_end_us=400_000)
TWINS = Conditions(heights=1, twins=1, loss=300, partitions=6, pause_us=1_000, faults_end_us=1_000_000)
EVERYTHING = Conditions(
    validators=7,
    twins=2,
    heights=2,
    loss=200,
    duplicates=50,
    partitions=4,
    crashes=6,
    pause_us=5_000,
    delay_us=(100, 20_000),
    faults_end_us=200_000,
)
UNEQUAL = Conditions(validators=5, powers=(5, 4, 3, 2, 1), heights=2, crashes=5, loss=200, faults_end_us=200_000)


def simulate(seed: int, conditions: Conditions) -> Simulation:
    return Simulation(random.Random(seed), conditions, seed).run()


def failures(seeds: Iterable[int], conditions: Conditions) -> list[SimulationFailure]:
    found = []
    for seed in seeds:
        try:
            simulate(seed, conditions)
        except SimulationFailure as failure:
            found.append(failure)
    return found


@pytest.mark.parametrize("validators", [1, 2, 3, 4, 7, 21])
def test_a_calm_network_decides_every_height_in_round_0(validators: int) -> None:
    simulation = simulate(1, Conditions(validators=validators, heights=10))
    assert [simulation.decided[h].rpartition(b"/")[0] + b"/" for h in range(1, 11)] == [
        b"%d/0/%d/" % (h, h * 13 % validators) for h in range(1, 11)
    ]


def test_two_runs_of_one_seed_are_the_same_run() -> None:
    first, second = simulate(7, EVERYTHING), simulate(7, EVERYTHING)
    assert (first.events, first.now_us, first.decided) == (second.events, second.now_us, second.decided)
    assert simulate(8, EVERYTHING).events != first.events


@pytest.mark.parametrize(
    ("conditions", "seeds"),
    [(CALM, 20), (LOSSY, 100), (CRASHES, 150), (TWINS, 100), (EVERYTHING, 15), (UNEQUAL, 60)],
    ids=["calm", "lossy", "crashes", "twins", "everything", "unequal"],
)
def test_agreement_validity_and_liveness_hold(conditions: Conditions, seeds: int) -> None:
    assert failures(range(seeds), conditions) == []


def test_twins_are_convicted_and_nobody_else() -> None:
    simulations = [simulate(seed, TWINS) for seed in range(10)]
    accused = {evidence.first.validator for s in simulations for evidence in s.evidence}
    assert accused == {b"validator-000"}


def test_crashes_and_later_rounds_do_happen() -> None:
    rounds = [simulate(seed, CRASHES).decided.values() for seed in range(20)]
    assert any(value.split(b"/")[1] != b"0" for values in rounds for value in values)


# The checks can fail: deliberate bugs must be found.


def test_more_than_a_third_of_twins_break_agreement() -> None:
    broken = failures(range(60), Conditions(heights=3, twins=2, loss=100, partitions=6, faults_end_us=400_000))
    assert any("agreement" in str(failure) for failure in broken)


def test_a_node_without_sign_state_and_log_is_caught() -> None:
    forgetful = Conditions(heights=3, crashes=8, loss=100, pause_us=5_000, faults_end_us=400_000, forgetful=True)
    assert any("contradiction" in str(failure) for failure in failures(range(20), forgetful))


def ignore_the_lock(self: Any) -> bool:
    lock, self.locked_round = self.locked_round, NO_ROUND
    try:
        return line_22(self)
    finally:
        self.locked_round = lock


def forget_the_lock(self: Any) -> bool:
    fired = line_36(self)
    if fired:
        self.locked_round, self.locked_value = NO_ROUND, None
    return fired


line_22, line_36 = Core._line_22_fresh_proposal, Core._line_36_polka


@pytest.mark.parametrize(
    ("rule", "bug"), [("_line_22_fresh_proposal", ignore_the_lock), ("_line_36_polka", forget_the_lock)]
)
def test_a_core_that_does_not_respect_its_lock_is_caught_with_a_seed(
    rule: str, bug: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Core, rule, bug)
    broken = failures(range(150), TWINS)
    assert any("agreement" in str(failure) for failure in broken)
    assert "Simulation(random.Random(" in str(broken[0])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("conditions", [LOSSY, CRASHES, TWINS, EVERYTHING, UNEQUAL])
def test_thousands_of_seeds(conditions: Conditions) -> None:
    assert failures(range(1_000, 1_000 + 64_000 // conditions.validators**2), conditions) == []
