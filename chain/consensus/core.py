"""Tendermint consensus, algorithm 1 of "The latest gossip on BFT consensus" (arXiv 1807.04938), without I/O.

Every `upon` rule of the paper is one method named by its first line number. Inputs go into `Core.step`, effects come
out; the same inputs always give the same effects, which is what lets a crashed node replay its log and go on. A node's
own votes count only when the driver feeds them back, after they were signed and are safe on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chain.consensus.messages import (
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    BroadcastProposal,
    BroadcastVote,
    Decide,
    Effect,
    Equivocation,
    GetValue,
    Input,
    ProposalReceived,
    ScheduleTimeout,
    SkipToRound,
    StartHeight,
    Step,
    TimeoutElapsed,
    Timeouts,
    ValueReady,
    VoteReceived,
)
from chain.consensus.votes import RoundLog, Validators

# Messages further ahead are dropped, older rounds are forgotten: what a hostile validator can make us store is bounded.
MAX_ROUNDS_AHEAD = 256
MAX_ROUNDS_KEPT = 1024
MAX_HEIGHTS_AHEAD = 2
MAX_EARLY_MESSAGES_PER_SENDER = 16

Proposer = Callable[[int, int], bytes]


class Core:
    """One validator's state machine: h_p, round_p, step_p, lockedValue_p … of lines 1 to 9, and its message log."""

    __slots__ = (
        "_awaiting_value",
        "_committable",
        "_early",
        "_effects",
        "_log",
        "_logs",
        "_proposer",
        "_proposers",
        "_skip_to",
        "_timeouts",
        "_validators",
        "decided",
        "height",
        "locked_round",
        "locked_value",
        "name",
        "round",
        "step_name",
        "valid_round",
        "valid_value",
    )

    locked_value: bytes | None
    valid_value: bytes | None

    def __init__(self, name: bytes, proposer: Proposer, timeouts: Timeouts) -> None:
        """`name` is this validator's id; `proposer(height, round)` must be the same pure function on every node."""
        self.name = name
        self._proposer = proposer
        self._timeouts = timeouts
        self._early: list[tuple[int, bytes, Input]] = []
        self._validators = Validators(((name, 1),))
        self._effects: list[Effect] = []
        self._reset(0)
        self.decided = True  # nothing to do until StartHeight

    def step(self, event: Input) -> list[Effect]:
        """Feeds one input and returns what the driver must do, in order."""
        effects: list[Effect] = []
        self._effects = effects
        if _HANDLERS[type(event)](self, event):
            self._apply_rules()
        return effects

    @property
    def early(self) -> list[Input]:
        """Kept messages of later heights, in order of arrival: a driver starts the next height's log with them."""
        return [event for _, _, event in self._early]

    # Inputs: each returns whether a rule may have become enabled.

    def _on_start_height(self, event: StartHeight) -> bool:
        assert event.height > self.height, f"height {event.height} after {self.height}"
        self._validators = Validators(event.validators)
        self._reset(event.height)
        self._start_round(0)
        self._apply_rules()
        waiting, self._early = self._early, []
        for height, sender, message in waiting:
            if height > event.height:
                self._early.append((height, sender, message))
            elif height == event.height and _HANDLERS[type(message)](self, message):
                self._apply_rules()
        return False

    def _on_vote(self, event: VoteReceived) -> bool:
        vote = event.vote
        if vote.height != self.height or self.decided:
            self._keep_early(vote.height, vote.validator, event)
            return False
        power = self._validators.power.get(vote.validator)
        if power is None:
            return False
        log = self._log if vote.round == self.round else self._log_of(vote.round)
        if log is None:
            return False
        tally = log.prevotes if vote.kind == PREVOTE else log.precommits
        first = tally.votes.get(vote.validator)
        if first is not None and first.value_id != vote.value_id and vote.validator not in tally.conflicts:
            self._effects.append(Equivocation(first, vote))
        crossed = tally.add(vote, power)
        if crossed and vote.kind == PRECOMMIT and vote.value_id is not None and tally.has_quorum(vote.value_id):
            self._committable.append((vote.round, vote.value_id))
        return self._heard(vote.round, vote.validator, power, log) or crossed

    def _on_proposal(self, event: ProposalReceived) -> bool:
        proposal = event.proposal
        if proposal.height != self.height or self.decided:
            self._keep_early(proposal.height, proposal.proposer, event)
            return False
        if not NO_ROUND <= proposal.pol_round < proposal.round:
            return False
        if proposal.proposer != self._proposer_of(proposal.round):
            return False
        log = self._log_of(proposal.round)
        if log is None or not log.add_proposal(proposal, event.valid):
            return False
        if proposal.proposer == self.name and proposal.round == self.round:
            self._awaiting_value = False
        self._heard(proposal.round, proposal.proposer, self._validators.power.get(proposal.proposer, 0), log)
        return True

    def _on_timeout(self, event: TimeoutElapsed) -> bool:
        if event.height != self.height or event.round != self.round or self.decided:
            return False
        if event.step is Step.PROPOSE:
            return self._line_57_timeout_propose()
        if event.step is Step.PREVOTE:
            return self._line_61_timeout_prevote()
        return self._line_65_timeout_precommit()

    def _on_value(self, event: ValueReady) -> bool:
        if event.height == self.height and event.round == self.round and self._awaiting_value and not self.decided:
            self._awaiting_value = False
            self._effects.append(BroadcastProposal(event.height, event.round, event.value_id, NO_ROUND))
        return False

    def _on_skip(self, event: SkipToRound) -> bool:
        if event.height != self.height or event.round <= self.round or self.decided:
            return False
        self._start_round(event.round)
        return True

    # The algorithm.

    def _apply_rules(self) -> None:
        """Fires enabled rules until none is; each moves forward in step, round or a "first time", so this ends."""
        while not self.decided and (
            self._line_49_decide()
            or self._line_55_skip_round()
            or self._line_22_fresh_proposal()
            or self._line_28_proposal_with_polka()
            or self._line_36_polka()
            or self._line_44_polka_for_nil()
            or self._line_34_any_prevotes()
            or self._line_47_any_precommits()
        ):
            pass

    def _start_round(self, round_: int) -> None:
        """Lines 11 to 21."""
        self.round = round_
        self.step_name = Step.PROPOSE
        self._forget_old_rounds()
        log = self._logs.get(round_)
        if log is None:
            log = self._logs[round_] = RoundLog(self._validators)
        self._log = log
        self._awaiting_value = False
        if self._proposer_of(round_) != self.name:
            self._schedule(Step.PROPOSE)
        elif self.valid_value is not None:
            self._effects.append(BroadcastProposal(self.height, round_, self.valid_value, self.valid_round))
        else:
            self._awaiting_value = True
            self._effects.append(GetValue(self.height, round_))

    def _line_22_fresh_proposal(self) -> bool:
        """Lines 22 to 27: a proposal without a polka is prevoted if valid and no lock stands against it."""
        if self.step_name is not Step.PROPOSE:
            return False
        for proposal in self._log.proposals:
            if proposal.pol_round == NO_ROUND:
                value = proposal.value_id
                free = self.locked_round == NO_ROUND or self.locked_value == value
                self._vote(PREVOTE, value if free and self._log.valid[value] else None)
                return True
        return False

    def _line_28_proposal_with_polka(self) -> bool:
        """Lines 28 to 33: a proposal with a polka of an earlier round overrides a lock that is not newer."""
        if self.step_name is not Step.PROPOSE:
            return False
        for proposal in self._log.proposals:
            earlier = self._logs.get(proposal.pol_round)
            if earlier is not None and earlier.prevotes.has_quorum(proposal.value_id):
                value = proposal.value_id
                free = self.locked_round <= proposal.pol_round or self.locked_value == value
                self._vote(PREVOTE, value if free and self._log.valid[value] else None)
                return True
        return False

    def _line_34_any_prevotes(self) -> bool:
        """Lines 34 and 35: 2f+1 prevotes that do not agree: give the missing ones a little time."""
        log = self._log
        if log.fired_34 or self.step_name is not Step.PREVOTE or not log.prevotes.has_any_quorum():
            return False
        log.fired_34 = True
        self._schedule(Step.PREVOTE)
        return True

    def _line_36_polka(self) -> bool:
        """Lines 36 to 43: 2f+1 prevotes for a valid proposal: lock it and precommit it; in any case remember it."""
        log = self._log
        if log.fired_36 or self.step_name < Step.PREVOTE:
            return False
        for proposal in log.proposals:
            value = proposal.value_id
            if log.valid[value] and log.prevotes.has_quorum(value):
                log.fired_36 = True
                if self.step_name is Step.PREVOTE:
                    self.locked_value = value
                    self.locked_round = self.round
                    self._vote(PRECOMMIT, value)
                self.valid_value = value
                self.valid_round = self.round
                return True
        return False

    def _line_44_polka_for_nil(self) -> bool:
        """Lines 44 to 46: 2f+1 prevotes for nil: precommit nil."""
        if self.step_name is not Step.PREVOTE or not self._log.prevotes.has_quorum(None):
            return False
        self._vote(PRECOMMIT, None)
        return True

    def _line_47_any_precommits(self) -> bool:
        """Lines 47 and 48: 2f+1 precommits that do not decide: give the missing ones a little time."""
        log = self._log
        if log.fired_47 or not log.precommits.has_any_quorum():
            return False
        log.fired_47 = True
        self._schedule(Step.PRECOMMIT)
        return True

    def _line_49_decide(self) -> bool:
        """Lines 49 to 54: 2f+1 precommits of any round for a valid proposal of it: final. The next height waits."""
        for round_, value in self._committable:
            log = self._logs.get(round_)
            if log is not None and log.valid.get(value):
                self.decided = True
                self._effects.append(Decide(self.height, round_, value, log.precommits.votes_for(value)))
                return True
        return False

    def _line_55_skip_round(self) -> bool:
        """Lines 55 and 56: f+1 are in a later round, so at least one honest node is: join them."""
        if self._skip_to <= self.round:
            return False
        self._start_round(self._skip_to)
        return True

    def _line_57_timeout_propose(self) -> bool:
        """Lines 57 to 60: no acceptable proposal in time: prevote nil."""
        if self.step_name is not Step.PROPOSE:
            return False
        self._vote(PREVOTE, None)
        return True

    def _line_61_timeout_prevote(self) -> bool:
        """Lines 61 to 64: the prevotes did not agree in time: precommit nil."""
        if self.step_name is not Step.PREVOTE:
            return False
        self._vote(PRECOMMIT, None)
        return True

    def _line_65_timeout_precommit(self) -> bool:
        """Lines 65 to 67: the round did not decide: start the next one."""
        self._start_round(self.round + 1)
        return True

    # What the rules are written with.

    def _vote(self, kind: int, value_id: bytes | None) -> None:
        self.step_name = Step.PREVOTE if kind == PREVOTE else Step.PRECOMMIT
        if self.name in self._validators.power:
            self._effects.append(BroadcastVote(kind, self.height, self.round, value_id))

    def _schedule(self, step: Step) -> None:
        duration_ms = self._timeouts.duration_ms(step, self.round)
        self._effects.append(ScheduleTimeout(step, self.height, self.round, duration_ms))

    def _proposer_of(self, round_: int) -> bytes:
        known = self._proposers.get(round_)
        if known is None:
            known = self._proposers[round_] = self._proposer(self.height, round_)
        return known

    def _reset(self, height: int) -> None:
        """Lines 1 to 9, and line 53 at every new height."""
        self.height = height
        self.round = 0
        self.step_name = Step.PROPOSE
        self.decided = False
        self.locked_value = None
        self.locked_round = NO_ROUND
        self.valid_value = None
        self.valid_round = NO_ROUND
        self._log = RoundLog(self._validators)
        self._logs: dict[int, RoundLog] = {0: self._log}
        self._proposers: dict[int, bytes] = {}
        self._committable: list[tuple[int, bytes]] = []
        self._skip_to = 0
        self._awaiting_value = False

    def _log_of(self, round_: int) -> RoundLog | None:
        """The log of a round, made when it is not too far off; None for a round that we do not want to hear of."""
        log = self._logs.get(round_)
        if log is None and self.round - MAX_ROUNDS_KEPT < round_ <= self.round + MAX_ROUNDS_AHEAD and round_ >= 0:
            log = self._logs[round_] = RoundLog(self._validators)
        return log

    def _heard(self, round_: int, sender: bytes, power: int, log: RoundLog) -> bool:
        """Notes who is ahead of us; true when f+1 are (line 55)."""
        if round_ <= self.round:
            return False
        log.add_sender(sender, power)
        if log.sender_power < self._validators.honest or round_ <= self._skip_to:
            return False
        self._skip_to = round_
        return True

    def _forget_old_rounds(self) -> None:
        if len(self._logs) > MAX_ROUNDS_KEPT:
            for old in [r for r in self._logs if r <= self.round - MAX_ROUNDS_KEPT and r != self.valid_round]:
                del self._logs[old]

    def _keep_early(self, height: int, sender: bytes, event: Input) -> None:
        """Keeps a message of a height that we are about to reach."""
        if not self.height < height <= self.height + MAX_HEIGHTS_AHEAD or sender not in self._validators.power:
            return
        if sum(1 for h, s, _ in self._early if h == height and s == sender) < MAX_EARLY_MESSAGES_PER_SENDER:
            self._early.append((height, sender, event))


_HANDLERS: dict[type, Callable[[Core, Any], bool]] = {
    StartHeight: Core._on_start_height,
    ProposalReceived: Core._on_proposal,
    VoteReceived: Core._on_vote,
    TimeoutElapsed: Core._on_timeout,
    ValueReady: Core._on_value,
    SkipToRound: Core._on_skip,
}
