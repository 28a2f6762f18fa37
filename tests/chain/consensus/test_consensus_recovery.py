"""What a key may sign after a crash, and how a core comes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chain.consensus.core import Core
from chain.consensus.messages import (
    PRECOMMIT,
    PREVOTE,
    BroadcastProposal,
    BroadcastVote,
    GetValue,
    Proposal,
    ProposalReceived,
    ScheduleTimeout,
    StartHeight,
    Step,
    TimeoutElapsed,
    Timeouts,
    Vote,
    VoteReceived,
)
from chain.consensus.recovery import Signed, may_sign, replay

NAMES = (b"a", b"b", b"c", b"d")
START = StartHeight(1, tuple((name, 1) for name in NAMES))
V = b"value"

places = st.builds(Signed, st.integers(1, 3), st.integers(0, 3), st.integers(0, 2), st.sampled_from([b"", b"v", b"w"]))


def new_core(name: bytes = b"a") -> Core:
    return Core(name, lambda height, round_: NAMES[round_ % 4], Timeouts())


def prevote(name: bytes) -> VoteReceived:
    return VoteReceived(Vote(PREVOTE, 1, 0, V, name))


@given(st.lists(places, max_size=20))
def test_whatever_is_asked_no_two_contents_are_signed_at_one_place(wanted: list[Signed]) -> None:
    last, signed = None, {}
    for new in wanted:
        if may_sign(last, new):
            assert signed.setdefault((new.height, new.round, new.step), new.content) == new.content
            last = new


def test_the_same_may_be_signed_again_and_nothing_earlier() -> None:
    last = Signed(5, 1, Step.PREVOTE, b"v")
    assert may_sign(last, Signed(5, 1, Step.PREVOTE, b"v"))
    assert not may_sign(last, Signed(5, 1, Step.PREVOTE, b"w"))
    assert not may_sign(last, Signed(5, 1, Step.PROPOSE, b"v"))
    assert not may_sign(last, Signed(5, 0, Step.PRECOMMIT, b"v"))
    assert not may_sign(last, Signed(4, 9, Step.PRECOMMIT, b"v"))
    assert may_sign(last, Signed(5, 1, Step.PRECOMMIT, b"w"))


def test_a_replayed_core_has_its_lock_again() -> None:
    log = [START, ProposalReceived(Proposal(1, 0, V, -1, b"a"), True), *map(prevote, (b"a", b"b", b"c"))]
    core = new_core()
    effects = replay(core, log)
    assert (core.locked_value, core.locked_round) == (V, 0)
    assert effects == [BroadcastVote(PRECOMMIT, 1, 0, V)]


def test_what_the_log_answers_is_not_done_again() -> None:
    proposal = ProposalReceived(Proposal(1, 0, V, -1, b"a"), True)
    assert replay(new_core(), [START]) == [GetValue(1, 0)]
    assert replay(new_core(), [START, proposal]) == [BroadcastVote(PREVOTE, 1, 0, V)]
    assert replay(new_core(), [START, proposal, prevote(b"a")]) == []
    assert replay(new_core(), [START, proposal, prevote(b"b")]) == [BroadcastVote(PREVOTE, 1, 0, V)]


def test_an_echo_of_an_earlier_height_answers_nothing() -> None:
    proposal = ProposalReceived(Proposal(1, 0, V, -1, b"a"), True)
    echo = VoteReceived(Vote(PREVOTE, 0, 0, V, b"a"))
    old = ProposalReceived(Proposal(0, 0, V, -1, b"a"), True)
    assert replay(new_core(), [START, proposal, echo]) == [BroadcastVote(PREVOTE, 1, 0, V)]
    assert replay(new_core(), [START, old]) == [GetValue(1, 0)]


def test_timers_of_the_present_round_are_armed_again() -> None:
    timeouts = Timeouts()
    waiting = ScheduleTimeout(Step.PROPOSE, 1, 0, timeouts.propose_ms)
    assert replay(new_core(b"b"), [START]) == [waiting]
    later = replay(new_core(b"c"), [START, TimeoutElapsed(Step.PRECOMMIT, 1, 0)])
    assert later == [ScheduleTimeout(Step.PROPOSE, 1, 1, timeouts.propose_ms + timeouts.propose_delta_ms)]


def test_a_proposal_made_again_is_the_valid_value() -> None:
    proposal = ProposalReceived(Proposal(1, 0, V, -1, b"a"), True)
    log = [START, proposal, *map(prevote, (b"a", b"b", b"c")), TimeoutElapsed(Step.PRECOMMIT, 1, 0)]
    own = VoteReceived(Vote(PREVOTE, 1, 0, V, b"b"))
    assert BroadcastProposal(1, 1, V, 0) in replay(new_core(b"b"), [*log, own])
