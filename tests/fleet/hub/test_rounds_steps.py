"""A PoG round always knows its next step, and its steps end."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.hub.proofs.rounds import Round, is_challenge, next_step

OPEN = Round(
    challenge_height=12, challenge_time_ms=100_000, window_ms=3_000, state="open",
    announced=2, answered=0, commitments=0, settled=0,
)  # fmt: skip


def test_the_root_is_committed_as_soon_as_every_announced_device_answered() -> None:
    one, both = replace(OPEN, answered=1, commitments=1), replace(OPEN, answered=2, commitments=3)
    assert next_step(one, 101_000, 14) == "wait"
    assert next_step(both, 101_000, 14) == "commit"


def test_the_root_is_committed_with_what_is_there_when_the_window_nears_its_end() -> None:
    one = replace(OPEN, answered=1, commitments=1)
    assert next_step(one, OPEN.commit_deadline_ms - 1, 14) == "wait"
    assert next_step(one, OPEN.commit_deadline_ms, 14) == "commit"
    assert OPEN.commit_deadline_ms < OPEN.challenge_time_ms + OPEN.window_ms


def test_a_round_that_nobody_answers_fails_at_its_deadline() -> None:
    assert next_step(OPEN, OPEN.commit_deadline_ms - 1, 14) == "wait"
    assert next_step(OPEN, OPEN.commit_deadline_ms, 14) == "fail"


def test_a_hub_that_forgot_whom_it_asked_waits_for_the_deadline() -> None:
    restarted = replace(OPEN, announced=0, answered=1, commitments=1)
    assert next_step(restarted, 101_000, 14) == "wait"


def test_openings_are_asked_for_once_the_block_after_the_commitment_exists() -> None:
    committed = replace(OPEN, state="committed", commitments=2)
    assert next_step(committed, 103_000, 15) == "wait"
    assert next_step(replace(committed, commit_height=15), 103_000, 15) == "wait"
    assert next_step(replace(committed, commit_height=15), 103_000, 16) == "open"
    assert next_step(replace(committed, commit_lost=True), 103_000, 16) == "fail"


def test_a_round_closes_when_every_gpu_is_settled_or_the_openings_time_is_over() -> None:
    opened = replace(OPEN, state="opened", commitments=2, settled=1, commit_height=15, opened_ms=104_000)
    deadline = opened.opening_deadline_ms
    assert deadline is not None
    assert next_step(opened, deadline - 1, 30) == "wait"
    assert next_step(opened, deadline, 30) == "close"
    assert next_step(replace(opened, settled=2), 104_001, 30) == "close"


@given(
    st.builds(
        Round,
        challenge_height=st.just(5), challenge_time_ms=st.just(0), window_ms=st.integers(1, 60_000),
        state=st.sampled_from(["closed", "failed"]), announced=st.integers(0, 3), answered=st.integers(0, 3),
        commitments=st.integers(0, 3), settled=st.integers(0, 3),
    ),
    st.integers(0, 10**6),
    st.integers(0, 100),
)  # fmt: skip
def test_a_finished_round_never_moves_again(state: Round, now_ms: int, newest_height: int) -> None:
    assert next_step(state, now_ms, newest_height) == "wait"


@given(st.lists(st.integers(1, 4_000), min_size=1, max_size=60), st.integers(1, 10_000))
def test_each_period_that_has_a_block_has_exactly_one_challenge_but_the_first(steps: list[int], period_ms: int) -> None:
    times, now = [0], 0
    for step in steps:
        now += step
        times.append(now)
    challenges = [time for before, time in pairwise(times) if is_challenge(before, time, 0, period_ms)]
    assert [time // period_ms for time in challenges] == sorted({time // period_ms for time in times} - {0})


@pytest.mark.parametrize(
    ("before", "at", "is_one"), [(5_999, 6_000, True), (6_000, 6_001, False), (5_000, 18_500, True)]
)
def test_a_boundary_is_the_first_block_at_or_past_it(before: int, at: int, is_one: bool) -> None:
    assert is_challenge(before, at, 0, 6_000) is is_one
