"""What goes into the consensus core and what comes out of it: immutable values, no behaviour.

Values are opaque: the core sees only their id (`bytes`; the block hash). `None` stands for the paper's nil. `signed` is
whatever the driver wants to find again in a decision (the signed wire vote); the core never looks at it.
Structs instead of dataclasses because the simulator makes a million of them per second.
"""

from __future__ import annotations

import enum

import msgspec

PREVOTE = 1
PRECOMMIT = 2
NO_ROUND = -1


class Step(enum.IntEnum):
    """The step of a round (line 4); also names the timeout that ends it."""

    PROPOSE = 0
    PREVOTE = 1
    PRECOMMIT = 2


class Proposal(msgspec.Struct, frozen=True, gc=False):
    """`<PROPOSAL, height, round, value, pol_round>` of `proposer`; pol_round is the paper's validRound, -1 for none."""

    height: int
    round: int
    value_id: bytes
    pol_round: int
    proposer: bytes
    signed: object = None


class Vote(msgspec.Struct, frozen=True, gc=False):
    """`<PREVOTE | PRECOMMIT, height, round, id(value)>` of `validator`; kind is CometBFT's signed message type."""

    kind: int
    height: int
    round: int
    value_id: bytes | None
    validator: bytes
    signed: object = None


# Inputs


class StartHeight(msgspec.Struct, frozen=True, gc=False):
    """Begins a height at round 0; the validators are (id, voting power) in an order that every node shares."""

    height: int
    validators: tuple[tuple[bytes, int], ...]


class ProposalReceived(msgspec.Struct, frozen=True, gc=False):
    """A proposal whose signature the driver has checked, with its answer to the paper's valid(v)."""

    proposal: Proposal
    valid: bool


class VoteReceived(msgspec.Struct, frozen=True, gc=False):
    """A vote whose signature the driver has checked; the node's own votes come in here too, after they were signed."""

    vote: Vote


class TimeoutElapsed(msgspec.Struct, frozen=True, gc=False):
    """A timeout that `ScheduleTimeout` asked for is over."""

    step: Step
    height: int
    round: int


class ValueReady(msgspec.Struct, frozen=True, gc=False):
    """The answer to `GetValue`."""

    height: int
    round: int
    value_id: bytes


class SkipToRound(msgspec.Struct, frozen=True, gc=False):
    """After a crash: leave rounds in which this key may have signed what the log does not know. Only moves forward."""

    height: int
    round: int


Input = StartHeight | ProposalReceived | VoteReceived | TimeoutElapsed | ValueReady | SkipToRound


# Effects


class GetValue(msgspec.Struct, frozen=True, gc=False):
    """Line 18: this node is to propose and has no valid value; answer with `ValueReady`."""

    height: int
    round: int


class BroadcastProposal(msgspec.Struct, frozen=True, gc=False):
    """Line 19, unsigned: the driver records its sign state durably, signs, sends, and feeds it back."""

    height: int
    round: int
    value_id: bytes
    pol_round: int


class BroadcastVote(msgspec.Struct, frozen=True, gc=False):
    """Lines 24 to 63, unsigned: the driver records its sign state durably, signs, sends, and feeds it back."""

    kind: int
    height: int
    round: int
    value_id: bytes | None


class ScheduleTimeout(msgspec.Struct, frozen=True, gc=False):
    """Lines 21, 35, 48: feed `TimeoutElapsed` after this many milliseconds."""

    step: Step
    height: int
    round: int
    duration_ms: int


class Decide(msgspec.Struct, frozen=True, gc=False):
    """Line 51: the value is final. `votes` are the precommits that prove it; the core then waits for `StartHeight`."""

    height: int
    round: int
    value_id: bytes
    votes: tuple[Vote, ...]


class Equivocation(msgspec.Struct, frozen=True, gc=False):
    """Two votes of one validator for one round and kind that name different values: evidence."""

    first: Vote
    second: Vote


Effect = GetValue | BroadcastProposal | BroadcastVote | ScheduleTimeout | Decide | Equivocation


class Timeouts(msgspec.Struct, frozen=True, gc=False):
    """Milliseconds; every round adds the delta, so that some round is longer than the network's unknown delay."""

    propose_ms: int = 3000
    propose_delta_ms: int = 500
    prevote_ms: int = 1000
    prevote_delta_ms: int = 500
    precommit_ms: int = 1000
    precommit_delta_ms: int = 500

    def duration_ms(self, step: Step, round_: int) -> int:
        if step is Step.PROPOSE:
            return self.propose_ms + round_ * self.propose_delta_ms
        if step is Step.PREVOTE:
            return self.prevote_ms + round_ * self.prevote_delta_ms
        return self.precommit_ms + round_ * self.precommit_delta_ms
