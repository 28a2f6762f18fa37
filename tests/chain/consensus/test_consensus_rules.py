"""Each rule of arXiv 1807.04938, algorithm 1, by its line number, seen from validator `me` among four equals."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chain.consensus.core import MAX_EARLY_MESSAGES_PER_SENDER, MAX_ROUNDS_AHEAD, Core
from chain.consensus.messages import (
    PRECOMMIT,
    PREVOTE,
    BroadcastProposal,
    BroadcastVote,
    Decide,
    Effect,
    Equivocation,
    GetValue,
    Proposal,
    ProposalReceived,
    ScheduleTimeout,
    SkipToRound,
    StartHeight,
    Step,
    TimeoutElapsed,
    Timeouts,
    ValueReady,
    Vote,
    VoteReceived,
)
from chain.consensus.votes import MAX_VALUES_PER_VOTER

ME, ANN, BOB, EVE = b"me", b"ann", b"bob", b"eve"
VALIDATORS = ((ME, 1), (ANN, 1), (BOB, 1), (EVE, 1))
TIMEOUTS = Timeouts(
    propose_ms=30, propose_delta_ms=3, prevote_ms=20, prevote_delta_ms=2, precommit_ms=10, precommit_delta_ms=1
)
V, W = b"value v", b"value w"


class Seat:
    """One core at height 1 whose proposers are chosen by the test, and everything that it wanted to do."""

    def __init__(self, proposers: Sequence[bytes] = (ANN, BOB, EVE, ANN), height: int = 1) -> None:
        self.core = Core(ME, lambda height, round_: proposers[round_ % len(proposers)], TIMEOUTS)
        self.proposers = proposers
        self.height = height
        self.first = self.core.step(StartHeight(height, VALIDATORS))

    def proposal(self, round_: int, value: bytes, pol: int = -1, valid: bool = True) -> list[Effect]:
        proposer = self.proposers[round_ % len(self.proposers)]
        return self.core.step(ProposalReceived(Proposal(self.height, round_, value, pol, proposer), valid))

    def votes(self, kind: int, round_: int, value: bytes | None, *who: bytes) -> list[Effect]:
        effects = []
        for name in who:
            effects += self.core.step(VoteReceived(Vote(kind, self.height, round_, value, name)))
        return effects

    def timeout(self, step: Step, round_: int = 0, height: int = 1) -> list[Effect]:
        return self.core.step(TimeoutElapsed(step, height, round_))

    def lock(self, value: bytes, round_: int = 0) -> None:
        """Leads the core to lock `value` in `round_`."""
        self.proposal(round_, value)
        self.votes(PREVOTE, round_, value, ME, ANN, BOB)
        assert (self.core.locked_value, self.core.locked_round) == (value, round_)


def vote(kind: int, value: bytes | None, round_: int = 0) -> BroadcastVote:
    return BroadcastVote(kind, 1, round_, value)


# Lines 11 to 21


def test_line_14_the_proposer_asks_for_a_value_and_proposes_it() -> None:
    seat = Seat([ME])
    assert seat.first == [GetValue(1, 0)]
    assert seat.core.step(ValueReady(1, 0, V)) == [BroadcastProposal(1, 0, V, -1)]


def test_line_14_a_value_is_proposed_once_and_only_in_its_round() -> None:
    seat = Seat([ME])
    assert seat.core.step(ValueReady(1, 1, V)) == []
    assert seat.core.step(ValueReady(2, 0, V)) == []
    seat.core.step(ValueReady(1, 0, V))
    assert seat.core.step(ValueReady(1, 0, W)) == []


def test_line_15_the_proposer_proposes_its_valid_value_with_its_round() -> None:
    seat = Seat([ANN, ME])
    seat.lock(V)
    assert seat.core.step(SkipToRound(1, 1)) == [BroadcastProposal(1, 1, V, 0)]


def test_line_21_others_wait_for_the_proposal_longer_every_round() -> None:
    seat = Seat()
    assert seat.first == [ScheduleTimeout(Step.PROPOSE, 1, 0, 30)]
    assert seat.core.step(SkipToRound(1, 2)) == [ScheduleTimeout(Step.PROPOSE, 1, 2, 36)]


# Lines 22 to 33


def test_line_24_a_valid_fresh_proposal_is_prevoted() -> None:
    assert Seat().proposal(0, V) == [vote(PREVOTE, V)]


def test_line_26_an_invalid_proposal_is_answered_with_nil() -> None:
    assert Seat().proposal(0, V, valid=False) == [vote(PREVOTE, None)]


def test_line_22_only_the_rounds_proposer_is_heard() -> None:
    seat = Seat([ANN])
    assert seat.core.step(ProposalReceived(Proposal(1, 0, V, -1, BOB), True)) == []
    assert seat.proposal(0, V) == [vote(PREVOTE, V)]


def test_line_22_a_second_proposal_does_not_change_the_prevote() -> None:
    seat = Seat()
    seat.proposal(0, V)
    assert seat.proposal(0, W) == []


def test_line_23_a_lock_refuses_another_fresh_value() -> None:
    seat = Seat()
    seat.lock(V)
    seat.core.step(SkipToRound(1, 1))
    assert seat.proposal(1, W) == [vote(PREVOTE, None, 1)]


def test_line_23_a_lock_accepts_its_own_value() -> None:
    seat = Seat()
    seat.lock(V)
    seat.core.step(SkipToRound(1, 1))
    assert seat.proposal(1, V) == [vote(PREVOTE, V, 1)]


def test_line_28_a_proposal_with_a_polka_waits_for_the_polka() -> None:
    seat = Seat()
    seat.core.step(SkipToRound(1, 1))
    assert seat.proposal(1, V, pol=0) == []
    assert seat.votes(PREVOTE, 0, V, ANN, BOB) == []
    assert vote(PREVOTE, V, 1) in seat.votes(PREVOTE, 0, V, EVE)


def test_line_28_a_polka_claimed_for_this_or_a_later_round_is_nonsense() -> None:
    seat = Seat()
    seat.core.step(SkipToRound(1, 1))
    assert seat.proposal(1, V, pol=1) == []
    assert seat.proposal(1, V, pol=2) == []
    assert seat.proposal(1, V, pol=-2) == []


def test_line_29_a_newer_polka_overrides_the_lock() -> None:
    seat = Seat()
    seat.lock(V)
    seat.core.step(SkipToRound(1, 2))
    seat.votes(PREVOTE, 1, W, ANN, BOB, EVE)
    assert seat.proposal(2, W, pol=1) == [vote(PREVOTE, W, 2)]


def test_line_32_an_older_polka_does_not_override_the_lock() -> None:
    seat = Seat([ANN, BOB, EVE, ANN])
    seat.core.step(SkipToRound(1, 1))
    seat.lock(V, round_=1)
    seat.votes(PREVOTE, 0, W, ANN, BOB, EVE)
    seat.core.step(SkipToRound(1, 2))
    assert seat.proposal(2, W, pol=0) == [vote(PREVOTE, None, 2)]


def test_line_32_an_invalid_value_with_a_polka_is_answered_with_nil() -> None:
    seat = Seat()
    seat.core.step(SkipToRound(1, 1))
    seat.votes(PREVOTE, 0, V, ANN, BOB, EVE)
    assert seat.proposal(1, V, pol=0, valid=False) == [vote(PREVOTE, None, 1)]


# Lines 34 to 48


def test_line_34_prevotes_that_disagree_start_the_timeout_once() -> None:
    seat = Seat()
    seat.proposal(0, V)
    seat.votes(PREVOTE, 0, V, ME, ANN)
    assert seat.votes(PREVOTE, 0, None, BOB) == [ScheduleTimeout(Step.PREVOTE, 1, 0, 20)]
    assert seat.votes(PREVOTE, 0, None, EVE) == []


def test_line_36_a_polka_locks_and_is_precommitted() -> None:
    seat = Seat()
    seat.proposal(0, V)
    assert seat.votes(PREVOTE, 0, V, ME, ANN, BOB) == [vote(PRECOMMIT, V)]
    assert (seat.core.locked_value, seat.core.locked_round) == (V, 0)


def test_line_36_a_polka_for_an_unseen_value_waits_for_the_proposal() -> None:
    seat = Seat()
    seat.timeout(Step.PROPOSE)
    assert vote(PRECOMMIT, V) not in seat.votes(PREVOTE, 0, V, ANN, BOB, EVE)
    assert vote(PRECOMMIT, V) in seat.proposal(0, V)


def test_line_36_a_polka_for_an_invalid_value_is_not_precommitted() -> None:
    seat = Seat()
    seat.proposal(0, V, valid=False)
    assert vote(PRECOMMIT, V) not in seat.votes(PREVOTE, 0, V, ANN, BOB, EVE)


def test_line_42_a_late_polka_is_remembered_but_not_locked() -> None:
    seat = Seat()
    seat.proposal(0, V)
    seat.votes(PREVOTE, 0, V, ME, ANN)
    seat.votes(PREVOTE, 0, None, BOB)
    assert seat.timeout(Step.PREVOTE) == [vote(PRECOMMIT, None)]
    assert seat.votes(PREVOTE, 0, V, EVE) == []
    assert (seat.core.valid_value, seat.core.valid_round) == (V, 0)
    assert (seat.core.locked_value, seat.core.locked_round) == (None, -1)


def test_line_44_a_polka_for_nil_is_precommitted_as_nil() -> None:
    seat = Seat()
    seat.timeout(Step.PROPOSE)
    assert seat.votes(PREVOTE, 0, None, ME, ANN, BOB) == [vote(PRECOMMIT, None)]


def test_line_47_precommits_that_disagree_start_the_timeout_once() -> None:
    seat = Seat()
    seat.votes(PRECOMMIT, 0, V, ANN, BOB)
    assert seat.votes(PRECOMMIT, 0, None, EVE) == [ScheduleTimeout(Step.PRECOMMIT, 1, 0, 10)]
    assert seat.votes(PRECOMMIT, 0, None, ME) == []


# Lines 49 to 56


def test_line_49_precommits_for_a_valid_proposal_decide() -> None:
    seat = Seat()
    seat.proposal(0, V)
    effects = seat.votes(PRECOMMIT, 0, V, ANN, BOB, EVE)
    votes = tuple(Vote(PRECOMMIT, 1, 0, V, name) for name in (ANN, BOB, EVE))
    assert effects == [Decide(1, 0, V, votes)]


def test_line_49_two_of_four_precommits_do_not_decide() -> None:
    seat = Seat()
    seat.proposal(0, V)
    assert seat.votes(PRECOMMIT, 0, V, ANN, BOB) == []


def test_line_49_a_decision_of_any_round_counts() -> None:
    seat = Seat()
    seat.core.step(SkipToRound(1, 3))
    seat.votes(PRECOMMIT, 1, V, ANN, BOB, EVE)
    assert [type(e) for e in seat.proposal(1, V)] == [Decide]


def test_line_49_an_invalid_value_is_never_decided() -> None:
    seat = Seat()
    seat.proposal(0, V, valid=False)
    assert not any(isinstance(e, Decide) for e in seat.votes(PRECOMMIT, 0, V, ANN, BOB, EVE))


def test_line_49_power_counts_and_not_heads() -> None:
    core = Core(ME, lambda height, round_: ANN, TIMEOUTS)
    core.step(StartHeight(1, ((ME, 1), (ANN, 8), (BOB, 1), (EVE, 1))))
    core.step(ProposalReceived(Proposal(1, 0, V, -1, ANN), True))
    effects = core.step(VoteReceived(Vote(PRECOMMIT, 1, 0, V, ANN)))
    assert any(isinstance(e, Decide) for e in effects)


def test_line_53_the_next_height_begins_without_locks_and_hears_early_messages() -> None:
    seat = Seat()
    early = VoteReceived(Vote(PREVOTE, 2, 0, V, ANN))
    seat.core.step(early)
    seat.lock(V)
    seat.votes(PRECOMMIT, 0, V, ANN, BOB, EVE)
    assert seat.core.early == [early]
    seat.core.step(StartHeight(2, VALIDATORS))
    assert (seat.core.locked_value, seat.core.valid_value, seat.core.early) == (None, None, [])
    seat.height = 2
    seat.proposal(0, V)
    assert BroadcastVote(PRECOMMIT, 2, 0, V) in seat.votes(PREVOTE, 0, V, BOB, EVE)


def test_line_55_f_plus_1_in_a_later_round_are_followed() -> None:
    seat = Seat()
    assert seat.votes(PREVOTE, 5, None, ANN) == []
    assert seat.votes(PRECOMMIT, 5, V, BOB) == [ScheduleTimeout(Step.PROPOSE, 1, 5, 45)]
    assert seat.core.round == 5


def test_line_55_one_sender_is_not_enough_however_often_it_speaks() -> None:
    seat = Seat()
    assert seat.votes(PREVOTE, 5, V, EVE) + seat.votes(PRECOMMIT, 5, V, EVE) == []
    assert seat.core.round == 0


# Lines 57 to 67


def test_line_57_without_a_proposal_nil_is_prevoted() -> None:
    assert Seat().timeout(Step.PROPOSE) == [vote(PREVOTE, None)]


def test_line_57_after_the_prevote_the_timeout_means_nothing() -> None:
    seat = Seat()
    seat.proposal(0, V)
    assert seat.timeout(Step.PROPOSE) == []


def test_line_61_prevotes_that_stay_split_are_precommitted_as_nil() -> None:
    seat = Seat()
    seat.proposal(0, V)
    assert seat.timeout(Step.PREVOTE) == [vote(PRECOMMIT, None)]
    assert seat.timeout(Step.PREVOTE) == []


def test_line_65_a_round_that_does_not_decide_gives_way_to_the_next() -> None:
    seat = Seat()
    assert seat.timeout(Step.PRECOMMIT) == [ScheduleTimeout(Step.PROPOSE, 1, 1, 33)]
    assert seat.core.round == 1


@pytest.mark.parametrize("step", list(Step))
def test_lines_57_61_65_timeouts_of_other_rounds_and_heights_mean_nothing(step: Step) -> None:
    seat = Seat()
    assert seat.timeout(step, round_=1) == []
    assert seat.timeout(step, height=2) == []
    assert seat.core.round == 0


# What the paper leaves to the implementation


def test_an_equivocator_is_convicted_once_and_counts_for_both_values() -> None:
    seat = Seat()
    seat.proposal(0, V)
    seat.votes(PREVOTE, 0, W, EVE)
    first, second = Vote(PREVOTE, 1, 0, W, EVE), Vote(PREVOTE, 1, 0, V, EVE)
    assert seat.votes(PREVOTE, 0, V, EVE) == [Equivocation(first, second)]
    assert seat.votes(PREVOTE, 0, V, EVE) == []
    assert seat.votes(PREVOTE, 0, V, ME, ANN) == [vote(PRECOMMIT, V)]


def test_an_equivocator_does_not_make_a_quorum_of_any() -> None:
    seat = Seat()
    seat.proposal(0, V)
    seat.votes(PREVOTE, 0, V, ME)
    seat.votes(PREVOTE, 0, None, EVE)
    assert not any(isinstance(e, ScheduleTimeout) for e in seat.votes(PREVOTE, 0, W, EVE))


def test_strangers_are_not_counted() -> None:
    seat = Seat()
    seat.proposal(0, V)
    assert seat.votes(PRECOMMIT, 0, V, b"x", b"y", b"z") == []


def test_floods_of_later_rounds_and_heights_are_bounded() -> None:
    seat = Seat()
    for round_ in range(2 * MAX_ROUNDS_AHEAD):
        seat.votes(PREVOTE, round_, V, EVE)
    assert len(seat.core._logs) == MAX_ROUNDS_AHEAD + 1
    for round_ in range(10 * MAX_EARLY_MESSAGES_PER_SENDER):
        seat.core.step(VoteReceived(Vote(PREVOTE, 2, round_, V, EVE)))
        seat.core.step(VoteReceived(Vote(PREVOTE, 9, round_, V, EVE)))
    assert len(seat.core.early) == MAX_EARLY_MESSAGES_PER_SENDER


def test_a_flood_of_votes_does_not_hide_the_one_with_which_others_decided() -> None:
    seat = Seat()
    seat.proposal(0, V)
    for number in range(100):
        seat.votes(PRECOMMIT, 0, b"flood %d" % number, EVE)
    assert len(seat.core._log.precommits.by_value) == MAX_VALUES_PER_VOTER
    # As long as no honest voter can have named the value, it is one more of the flood.
    assert seat.votes(PRECOMMIT, 0, V, EVE, ANN) == []
    assert [type(e) for e in seat.votes(PRECOMMIT, 0, V, BOB, EVE)] == [ScheduleTimeout, Decide]


def test_a_flood_of_proposals_does_not_hide_the_one_that_was_decided() -> None:
    seat = Seat()
    for number in range(100):
        seat.proposal(0, b"junk %d" % number)
    assert len(seat.core._logs[0].proposals) < 10
    seat.votes(PRECOMMIT, 0, V, ANN, BOB, ME)
    assert any(isinstance(e, Decide) for e in seat.proposal(0, V))


def test_a_node_that_is_no_validator_follows_in_silence() -> None:
    core = Core(b"guest", lambda height, round_: ANN, TIMEOUTS)
    core.step(StartHeight(1, VALIDATORS))
    assert core.step(ProposalReceived(Proposal(1, 0, V, -1, ANN), True)) == []
    effects = [e for name in (ANN, BOB, EVE) for e in core.step(VoteReceived(Vote(PRECOMMIT, 1, 0, V, name)))]
    assert [type(e) for e in effects] == [Decide]


def test_after_the_decision_nothing_moves_until_the_next_height() -> None:
    seat = Seat()
    seat.proposal(0, V)
    seat.votes(PRECOMMIT, 0, V, ANN, BOB, EVE)
    assert seat.timeout(Step.PRECOMMIT) == []
    assert seat.votes(PRECOMMIT, 0, W, ME) == []
    assert seat.core.step(SkipToRound(1, 4)) == []
