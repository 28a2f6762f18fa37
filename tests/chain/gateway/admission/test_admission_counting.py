"""Rates and scores on a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.gateway.admission import counting
from chain.gateway.admission.counting import Rates, Scores
from tests.chain.gateway.admission.clock import Clock

STEPS = st.lists(st.floats(0, 90), min_size=1, max_size=60)


@given(st.integers(1, 120), STEPS)
def test_nobody_gets_more_than_a_minutes_worth_and_what_has_filled_since(per_minute: int, steps: list[float]) -> None:
    clock = Clock()
    rates, taken, start_s = Rates(clock), 0, clock.now_s
    for step in steps:
        clock.now_s += step
        while not rates.take("peer", per_minute):
            taken += 1
    assert taken <= per_minute * (1 + (clock.now_s - start_s) / 60) + 1e-6


@given(st.integers(1, 120), st.integers(1, 40))
def test_whoever_waits_as_long_as_is_told_may(per_minute: int, cost: int) -> None:
    clock = Clock()
    rates = Rates(clock)
    while not (wait_s := rates.take("peer", per_minute, cost)):
        pass
    clock.now_s += wait_s + 1e-6
    assert rates.take("peer", per_minute, cost) == 0
    assert rates.take("another", per_minute) == 0, "one peer's rate is not another's"


def test_being_refused_costs_nothing() -> None:
    clock = Clock()
    rates = Rates(clock)
    while not rates.take("peer", 60):
        pass
    waits = [rates.take("peer", 60) for _ in range(100)]
    assert set(waits) == {1.0}


@given(STEPS)
def test_a_score_only_fades_without_faults_and_halves_in_its_time(steps: list[float]) -> None:
    clock = Clock()
    scores = Scores(600, clock)
    scores.add("peer", 80)
    start_s, before = clock.now_s, 80.0
    for step in steps:
        clock.now_s += step
        now = scores.of("peer")
        assert now <= before
        before = now
    clock.now_s = start_s + 600
    assert scores.of("peer") == pytest.approx(40)
    assert scores.add("peer", 5) == pytest.approx(45) and scores.of("another") == 0


def test_peers_in_memory_are_bounded_and_the_newest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "PEERS_MAX", 3)
    scores = Scores(600, Clock())
    for number in range(10):
        scores.add(str(number), 1)
    assert [number for number in range(10) if scores.of(str(number))] == [7, 8, 9]
