"""What the hub does about a challenge of a leaf, decided from what is known of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.hub.chain.outbox import OutboxRow
from fleet.hub.proofs.challenges import Challenge, next_step

ASKED = Challenge(
    height=10,
    tx_index=1,
    reward_epoch=3,
    position=2,
    challenger=b"w" * 20,
    asked_ms=100_000,
    deadline_ms=108_000,
    state="seen",
    attempts=0,
    answered_ms=None,
)
ANSWERED = replace(ASKED, state="answering", attempts=1, answered_ms=100_500)


def answer(state: str, height: int | None = None) -> OutboxRow:
    return OutboxRow(1, "proof_response", ANSWERED.subject, 4, b"", b"h" * 32, state, 1, height)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("accepted", "chain_time_ms", "step"),
    [
        (True, 100_200, "answer"),
        (True, 108_000, "answer"),
        (True, 108_001, "lost"),
        (False, 100_200, "dismiss"),
        (False, 109_000, "dismiss"),
        (None, 100_200, "wait"),
        (None, 103_999, "wait"),
        (None, 104_000, "answer"),
        (None, 109_000, "lost"),
    ],
)
def test_a_challenge_is_answered_once_the_ledger_took_it(accepted: bool | None, chain_time_ms: int, step: str) -> None:
    assert next_step(ASKED, accepted, None, chain_time_ms) == step


@pytest.mark.parametrize(
    ("state", "height", "chain_time_ms", "step"),
    [
        ("pending", None, 100_600, "wait"),
        ("sent", None, 109_000, "wait"),
        ("included", 12, 100_600, "shown"),
        ("included", 12, 109_000, "shown"),
        ("failed", 12, 100_600, "lost"),
        ("failed", None, 101_499, "wait"),
        ("failed", None, 101_500, "answer"),
        ("failed", None, 108_001, "lost"),
    ],
)
def test_an_answer_is_followed_until_a_block_holds_it(
    state: str, height: int | None, chain_time_ms: int, step: str
) -> None:
    assert next_step(ANSWERED, None, answer(state, height), chain_time_ms) == step


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 400))
def test_whatever_is_refused_on_the_way_every_accepted_challenge_ends_and_answers_are_few(
    fates: list[bool], block_ms: int
) -> None:
    challenge, row, sent, ended = ASKED, None, 0, None
    time_ms, fate = ASKED.asked_ms, iter(fates)
    while ended is None:
        time_ms += block_ms
        assert time_ms < ASKED.deadline_ms + 2 * block_ms
        step = next_step(challenge, True, row, time_ms)
        if step == "answer":
            sent += 1
            challenge = replace(challenge, state="answering", attempts=sent, answered_ms=time_ms)
            row = answer("sent")
        elif step in ("shown", "lost"):
            ended = step
        elif row is not None and row.state == "sent":
            row = answer("included", 20) if next(fate, True) else answer("failed")
    assert 1 <= sent <= 9
    assert (ended == "shown") == (row is not None and row.state == "included")
