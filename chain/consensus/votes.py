"""Counts votes by voting power: the paper's "2f+1" and "f+1" for unequal validators, with bounds against floods."""

from __future__ import annotations

from collections.abc import Iterable

from chain.consensus.messages import Proposal, Vote

# A voter who names more values than this in one round and kind is convicted already, and heard further only for values
# that f+1 voted for: others may have decided with its vote, and values that an honest voter named are no flood.
MAX_VALUES_PER_VOTER = 4
# Proposals kept per round; one more is kept only when 2f+1 votes name its value.
MAX_PROPOSALS_PER_ROUND = 4


class Validators:
    """A validator set with the two thresholds: `quorum` (more than 2/3 of the power) and `honest` (more than 1/3)."""

    __slots__ = ("honest", "power", "quorum")

    def __init__(self, validators: Iterable[tuple[bytes, int]]) -> None:
        self.power: dict[bytes, int] = dict(validators)
        total = sum(self.power.values())
        assert total > 0, "a validator set without power"
        assert min(self.power.values()) > 0, "a validator without power"
        self.quorum = total * 2 // 3 + 1
        self.honest = total // 3 + 1


class Tally:
    """The votes of one kind in one round. An equivocator counts for each value that it named, as in the paper."""

    __slots__ = ("by_value", "conflicts", "honest", "power", "quorum", "votes")

    def __init__(self, validators: Validators) -> None:
        self.quorum = validators.quorum
        self.honest = validators.honest
        self.power = 0
        self.votes: dict[bytes, Vote] = {}
        self.by_value: dict[bytes | None, int] = {}
        self.conflicts: dict[bytes, list[Vote]] = {}

    def add(self, vote: Vote, power: int) -> bool:
        """Counts a vote; true when a threshold was crossed by it, so that rules may have become enabled."""
        quorum = self.quorum
        crossed = False
        if vote.validator not in self.votes:
            self.votes[vote.validator] = vote
            before = self.power
            self.power = before + power
            crossed = before < quorum <= before + power
        elif not self._is_new_conflict(vote):
            return False
        before = self.by_value.get(vote.value_id, 0)
        self.by_value[vote.value_id] = before + power
        return crossed or before < quorum <= before + power

    def _is_new_conflict(self, vote: Vote) -> bool:
        if self.votes[vote.validator].value_id == vote.value_id:
            return False
        others = self.conflicts.setdefault(vote.validator, [])
        full = len(others) >= MAX_VALUES_PER_VOTER - 1 and self.by_value.get(vote.value_id, 0) < self.honest
        if full or any(o.value_id == vote.value_id for o in others):
            return False
        others.append(vote)
        return True

    def has_any_quorum(self) -> bool:
        """2f+1 votes of this kind, whatever they name."""
        return self.power >= self.quorum

    def has_quorum(self, value_id: bytes | None) -> bool:
        """2f+1 votes of this kind for this value."""
        return self.by_value.get(value_id, 0) >= self.quorum

    def votes_for(self, value_id: bytes) -> tuple[Vote, ...]:
        conflicting = [v for votes in self.conflicts.values() for v in votes]
        return tuple(v for v in [*self.votes.values(), *conflicting] if v.value_id == value_id)


class RoundLog:
    """Everything heard of one round of the current height, and which "for the first time" rules it has fired."""

    __slots__ = (
        "fired_34",
        "fired_36",
        "fired_47",
        "precommits",
        "prevotes",
        "proposals",
        "sender_power",
        "senders",
        "valid",
    )

    def __init__(self, validators: Validators) -> None:
        self.proposals: list[Proposal] = []
        self.valid: dict[bytes, bool] = {}
        self.prevotes = Tally(validators)
        self.precommits = Tally(validators)
        self.senders: dict[bytes, None] = {}
        self.sender_power = 0
        self.fired_34 = self.fired_36 = self.fired_47 = False

    def add_sender(self, validator: bytes, power: int) -> None:
        """Counts whom we heard in this round, for the f+1 of line 55."""
        if validator not in self.senders:
            self.senders[validator] = None
            self.sender_power += power

    def add_proposal(self, proposal: Proposal, valid: bool) -> bool:
        """Keeps a proposal; false when it is known, or one too many."""
        known = any(p.value_id == proposal.value_id and p.pol_round == proposal.pol_round for p in self.proposals)
        named = self.prevotes.has_quorum(proposal.value_id) or self.precommits.has_quorum(proposal.value_id)
        full = len(self.proposals) >= MAX_PROPOSALS_PER_ROUND
        if known or (full and (not named or proposal.value_id in self.valid)):
            return False
        self.proposals.append(proposal)
        self.valid[proposal.value_id] = valid
        return True
