"""Validators that lie, with less than a third of the power: nothing is broken. With more, or with a bug, it is seen."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from chain.consensus import byzantine
from chain.consensus.byzantine import BEHAVIOURS
from chain.consensus.conditions import MAX_CLOCK_SKEW, Conditions, SimulationFailure
from chain.consensus.core import Core
from chain.consensus.messages import NO_ROUND, PREVOTE, Input, ProposalReceived, Step
from chain.consensus.simulator import Simulation
from chain.consensus.votes import RoundLog, Tally, Validators

ROUGH = Conditions(
    heights=2, loss=200, duplicates=50, partitions=3, clock_skew=MAX_CLOCK_SKEW, pause_us=2_000, faults_end_us=200_000
)
ONE_OF_FOUR = [replace(ROUGH, byzantine=(name,)) for name in BEHAVIOURS]
# Powers of 7: the liars hold 2.
UNEQUAL = [replace(ROUGH, validators=5, powers=(1, 1, 2, 1, 2), byzantine=(name,)) for name in BEHAVIOURS]
PAIRS_OF_SEVEN = [replace(ROUGH, validators=7, crashes=3, byzantine=pair) for pair in combinations(BEHAVIOURS, 2)]


def simulate(seed: int, conditions: Conditions) -> Simulation:
    return Simulation(random.Random(seed), conditions, seed).run()


def failures(seeds: Iterable[int], conditions: Conditions) -> Iterator[str]:
    for seed in seeds:
        try:
            simulate(seed, conditions)
        except SimulationFailure as failure:
            yield str(failure)


def named(conditions: Conditions) -> str:
    return " and ".join(conditions.byzantine)


@pytest.mark.parametrize("conditions", ONE_OF_FOUR, ids=named)
def test_one_liar_of_four_breaks_nothing(conditions: Conditions) -> None:
    assert list(failures(range(60), conditions)) == []


@pytest.mark.parametrize("conditions", UNEQUAL, ids=named)
def test_a_liar_with_less_than_a_third_of_unequal_powers_breaks_nothing(conditions: Conditions) -> None:
    assert list(failures(range(30), conditions)) == []


@pytest.mark.parametrize("conditions", PAIRS_OF_SEVEN, ids=named)
def test_two_liars_of_seven_break_nothing_while_others_crash(conditions: Conditions) -> None:
    assert list(failures(range(6), conditions)) == []


def test_a_liar_and_a_twin_of_seven_break_nothing() -> None:
    for name in BEHAVIOURS:
        assert list(failures(range(4), replace(ROUGH, validators=7, twins=1, byzantine=(name,)))) == []


@pytest.mark.parametrize("name", ["two-faced", "double-voter", "amnesiac"])
def test_who_votes_twice_is_convicted_and_nobody_else(name: str) -> None:
    runs = [simulate(seed, replace(ROUGH, byzantine=(name,))) for seed in range(20)]
    accused = {evidence.first.validator for run in runs for evidence in run.evidence}
    assert accused <= {b"validator-003"}
    # An amnesiac contradicts its lock in later rounds, which is no evidence by itself.
    assert accused or name == "amnesiac"


@pytest.mark.parametrize("name", ["silent", "withholder", "precommit-withholder", "usurper", "replayer", "bad-beacon"])
def test_who_signs_one_thing_per_place_is_not_accused(name: str) -> None:
    assert all(simulate(seed, replace(ROUGH, byzantine=(name,))).evidence == [] for seed in range(20))


def test_a_block_with_a_bad_beacon_costs_its_proposer_the_round_and_is_never_decided() -> None:
    calm = Conditions(heights=20, byzantine=("bad-beacon",))
    run = simulate(1, calm)
    turns = {height: height * 13 % 4 == 3 for height in range(1, 21)}
    assert {h: run.decided[h].split(b"/")[1] != b"0" for h in turns} == turns


def test_every_behaviour_makes_a_difference() -> None:
    honest = simulate(3, replace(ROUGH, byzantine=("replayer",))).events
    for name in set(BEHAVIOURS) - {"replayer"}:
        assert simulate(3, replace(ROUGH, byzantine=(name,))).events != honest, name


def test_a_liar_cannot_forge_what_others_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forger(byzantine.Silent):
        def tell(self, message: Any, to: int, heard: Any, dice: Any) -> Any:
            yield byzantine.Vote(byzantine.PREVOTE, message.height, message.round, None, b"validator-000")

    monkeypatch.setitem(BEHAVIOURS, "forger", Forger)
    with pytest.raises(AssertionError, match="forged"):
        simulate(1, Conditions(byzantine=("forger",)))


# The checks can fail.


@pytest.mark.parametrize("validators", [4, 7, 10])
def test_a_third_or_more_of_two_faced_validators_breaks_agreement(validators: int) -> None:
    liars = ("two-faced",) * (validators // 3 + 1)
    conditions = Conditions(validators=validators, heights=validators, byzantine=liars)
    broken = next(failures(range(40), conditions))
    assert broken.startswith("agreement: height")
    assert "replay: Simulation(random.Random(" in broken


@pytest.mark.parametrize("liars", [("silent", "silent"), ("precommit-withholder", "silent")])
def test_a_third_or_more_of_silence_breaks_liveness_alone(liars: tuple[str, ...]) -> None:
    broken = list(failures(range(3), replace(ROUGH, byzantine=liars)))
    assert len(broken) == 3 and all(failure.startswith("liveness") for failure in broken)


@pytest.mark.slow
def test_clocks_that_differ_too_much_break_liveness_alone() -> None:
    wild = Conditions(powers=(5, 2, 7, 6), clock_skew=700, loss=100, duplicates=50, crashes=8, heights=2,
                      pause_us=5_000, faults_end_us=300_000)  # fmt: skip
    assert next(failures([10323], wild)).startswith("liveness")
    assert list(failures(range(10_300, 10_400), replace(wild, clock_skew=MAX_CLOCK_SKEW))) == []


def a_smaller_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Validators.__init__

    def init(self: Any, validators: Iterable[tuple[bytes, int]]) -> None:
        true(self, validators)
        self.quorum -= 1

    monkeypatch.setattr(Validators, "__init__", init)


def one_is_enough_to_skip_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Validators.__init__

    def init(self: Any, validators: Iterable[tuple[bytes, int]]) -> None:
        true(self, validators)
        self.honest = 1

    monkeypatch.setattr(Validators, "__init__", init)


def repeated_votes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tally, "_is_new_conflict", lambda self, vote: True)


def every_block_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    true = RoundLog.add_proposal
    monkeypatch.setattr(RoundLog, "add_proposal", lambda self, proposal, valid: true(self, proposal, True))


def anybody_may_propose(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Core._on_proposal

    def on_proposal(self: Core, event: ProposalReceived) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(Core, "_proposer_of", lambda self, round_: event.proposal.proposer)
            return true(self, event)

    monkeypatch.setattr(Core, "_on_proposal", on_proposal)
    monkeypatch.setitem(handlers(), ProposalReceived, on_proposal)


def locks_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Core._line_36_polka

    def line_36(self: Any) -> bool:
        fired = true(self)
        self.locked_round, self.locked_value = -1, None
        return fired

    monkeypatch.setattr(Core, "_line_36_polka", line_36)


def polkas_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def line_28(self: Any) -> bool:
        for proposal in self._log.proposals if self.step_name is Step.PROPOSE else ():
            if proposal.pol_round != NO_ROUND:
                free = self.locked_round <= proposal.pol_round or self.locked_value == proposal.value_id
                valid = self._log.valid[proposal.value_id]
                self._vote(PREVOTE, proposal.value_id if free and valid else None)
                return True
        return False

    monkeypatch.setattr(Core, "_line_28_proposal_with_polka", line_28)


def handlers() -> dict[type[Input], Callable[..., bool]]:
    from chain.consensus import core

    return core._HANDLERS


@pytest.mark.parametrize(
    ("bug", "byzantine", "promise"),
    [
        (a_smaller_quorum, ("two-faced",), "agreement"),
        (locks_are_forgotten, ("double-voter",), "agreement"),
        (polkas_are_believed, ("polka-forger",), "agreement"),
        (repeated_votes_count, ("replayer",), "agreement"),
        (every_block_is_valid, ("bad-beacon",), "validity"),
        (anybody_may_propose, ("usurper",), "contradiction"),
        (one_is_enough_to_skip_a_round, ("time-traveller",), "liveness"),
    ],
)
def test_a_bug_in_the_core_is_found_by_the_liar_that_needs_it(
    bug: Callable[[pytest.MonkeyPatch], None],
    byzantine: tuple[str, ...],
    promise: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conditions = Conditions(
        heights=3, byzantine=byzantine, loss=300, partitions=6, pause_us=1_000, faults_end_us=1_000_000
    )
    assert list(failures(range(20), conditions)) == []
    bug(monkeypatch)
    assert any(failure.startswith(promise) for failure in failures(range(1_000), conditions))
