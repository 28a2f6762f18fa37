"""The two rules that make a crash harmless: what a key may still sign, and how a core comes back from its input log.

A driver keeps two things on disk. The log holds the inputs of the current height in order, its own messages among
them, and is durable before any of these leaves; replayed, it leads to the same state, the same locks, the same votes.
The sign state holds the last thing each key signed, is durable before a signature leaves, and forbids to contradict it
even if the log is lost.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chain.consensus.core import Core
from chain.consensus.messages import (
    PREVOTE,
    BroadcastProposal,
    BroadcastVote,
    Effect,
    GetValue,
    Input,
    ProposalReceived,
    ScheduleTimeout,
    Step,
    VoteReceived,
)


class Signed(msgspec.Struct, frozen=True, gc=False):
    """What a key signed: where, and a content that is equal exactly if the messages may count as one and the same."""

    height: int
    round: int
    step: int
    content: bytes


def may_sign(last: Signed | None, new: Signed) -> bool:
    """A key signs forward in (height, round, step), and at the very place of its last signature only the same again."""
    if last is None:
        return True
    before, after = (last.height, last.round, last.step), (new.height, new.round, new.step)
    return after > before or (after == before and new.content == last.content)


def signed_place(event: VoteReceived | ProposalReceived) -> Signed:
    """The place and content of a signed message: proposal, then prevote, then precommit within a round."""
    if isinstance(event, ProposalReceived):
        p = event.proposal
        return Signed(p.height, p.round, int(Step.PROPOSE), b"%d %s" % (p.pol_round, p.value_id))
    vote = event.vote
    step = Step.PREVOTE if vote.kind == PREVOTE else Step.PRECOMMIT
    return Signed(vote.height, vote.round, int(step), vote.value_id or b"")


def own_signatures(name: bytes, log: Iterable[Input]) -> list[Signed]:
    """What a log shows that this node signed: it may know of a signature that the sign state has not heard of yet."""
    found = []
    for event in log:
        if (isinstance(event, VoteReceived) and event.vote.validator == name) or (
            isinstance(event, ProposalReceived) and event.proposal.proposer == name
        ):
            found.append(signed_place(event))
    return found


def replay(core: Core, log: Iterable[Input]) -> list[Effect]:
    """Feeds a height's inputs (`StartHeight` first) and returns the effects that the log shows no answer to.

    The driver performs those now: timers are armed again, an unsigned vote is signed if the sign state lets it.
    """
    open_effects: list[Effect] = []
    for event in log:
        open_effects = [e for e in open_effects if not _answers(core.name, event, e)]
        open_effects += core.step(event)
    return [e for e in open_effects if not isinstance(e, ScheduleTimeout) or e.round == core.round]


def _answers(name: bytes, event: Input, effect: Effect) -> bool:
    """Whether `event` is our own signed message that came of `effect`; an echo of an earlier height is not."""
    if isinstance(event, VoteReceived) and isinstance(effect, BroadcastVote):
        vote = event.vote
        place = (vote.kind, vote.height, vote.round)
        return vote.validator == name and place == (effect.kind, effect.height, effect.round)
    if isinstance(event, ProposalReceived) and isinstance(effect, GetValue | BroadcastProposal):
        proposal = event.proposal
        return proposal.proposer == name and (proposal.height, proposal.round) == (effect.height, effect.round)
    return False
