"""Validators that lie, one class per way of lying: what each peer is told in place of what an honest core wants to say.

A liar runs the honest core, which keeps it in step with the others, and holds its own key alone: it signs whatever it
likes, and of others it can only repeat what they signed. Each behaviour is a function of its core's message, of the
peer's number, of what it heard at this height, and of the dice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from msgspec.structs import replace

from chain.consensus.conditions import Dice
from chain.consensus.messages import NO_ROUND, PRECOMMIT, PREVOTE, Input, Proposal, ProposalReceived, Vote, VoteReceived
from chain.consensus.values import INVALID_PREFIX, OTHER_SUFFIX

Message = Proposal | Vote
Told = Iterable[Message]
Heard = Collection[Input]


class Behaviour(Protocol):
    """One way to lie."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        """What peer number `to` is told in place of `message`."""


class EquivocatingProposer:
    """Proposes one value to half of the peers and another one to the rest."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        if isinstance(message, Proposal) and _side(message, to):
            return (replace(message, value_id=_other(message.value_id)),)
        return (message,)


class TwoFaced:
    """Proposes and votes for one value towards half of the peers and for another towards the rest.

    Several of them agree on the halves, which is what breaks agreement when they are a third or more.
    """

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        value = message.value_id
        if value is None:
            return (message,)
        shown = _other(value) if _side(message, to) else value.removesuffix(OTHER_SUFFIX)
        return (replace(message, value_id=shown),)


class DoubleVoter:
    """Sends every peer two votes of one place: its core's, and one for nil or for a value that it heard of."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        if isinstance(message, Proposal):
            return (message,)
        others = [None, *(p.value_id for p in _proposals(heard, message.round))]
        second = replace(message, value_id=others[dice.randrange(0, len(others))])
        return (message, second) if dice.getrandbits(1) else (second, message)


class Amnesiac:
    """Votes for whatever is proposed, locked or not, valid or not."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        if isinstance(message, Vote):
            for proposal in _proposals(heard, message.round):
                return (replace(message, value_id=proposal.value_id),)
        return (message,)


class Silent:
    """Says nothing at all."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        return ()


class Withholder:
    """Speaks with some peers and not with others, chosen anew at each message."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        return (message,) if dice.getrandbits(1) else ()


class HalfSilent:
    """Speaks with every second peer, always the same ones, so that the others must hear of it through them."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        return () if to & 1 else (message,)


class PrecommitWithholder:
    """Proposes, prevotes, precommits nil, and keeps the precommit that would decide to itself."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        decisive = isinstance(message, Vote) and message.kind == PRECOMMIT and message.value_id is not None
        return () if decisive else (message,)


class Usurper:
    """Proposes in every round, whoever's turn it is, in this round and in those to come."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        yield message
        if isinstance(message, Vote):
            for ahead in (0, 1, dice.randrange(2, 300)):
                value = b"usurped %d/%d" % (message.height, message.round + ahead)
                yield Proposal(message.height, message.round + ahead, value, NO_ROUND, message.validator)


class TimeTraveller:
    """Votes in rounds and heights that are long over or far ahead, and claims polkas that never were."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        yield message
        if isinstance(message, Proposal):
            yield replace(message, pol_round=dice.randrange(-2, message.round + 3))
            return
        for _ in range(3):
            height = max(1, message.height + dice.randrange(-2, 4))
            round_ = max(0, message.round + dice.randrange(-3, 300))
            kind = PRECOMMIT if dice.getrandbits(1) else PREVOTE
            yield replace(message, height=height, round=round_, kind=kind)


class Replayer:
    """Repeats what it heard at this height, of whoever signed it."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        yield message
        for event in heard:
            if not dice.getrandbits(2):
                yield from _spoken(event)


class BadBeacon:
    """Proposes blocks whose beacon proof fails, and votes for them."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        if isinstance(message, Proposal):
            return (replace(message, value_id=INVALID_PREFIX + message.value_id),)
        for proposal in _proposals(heard, message.round):
            if proposal.proposer == message.validator:
                return (replace(message, value_id=INVALID_PREFIX + proposal.value_id),)
        return (message,)


class PolkaForger:
    """Proposes, in later rounds, another value than its core's and claims a polka for it that may never have been."""

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        if isinstance(message, Proposal):
            claimed = dice.randrange(0, message.round) if message.round else NO_ROUND
            return (replace(message, value_id=_other(message.value_id), pol_round=claimed),)
        for proposal in _proposals(heard, message.round):
            if proposal.proposer == message.validator:
                return (replace(message, value_id=_other(proposal.value_id)),)
        return (message,)


class Fickle:
    """Lies in another of these ways at each message and to each peer: what no single way would attempt."""

    def __init__(self) -> None:
        self._ways = [way() for way in BEHAVIOURS.values() if way is not Fickle]

    def tell(self, message: Message, to: int, heard: Heard, dice: Dice) -> Told:
        return self._ways[dice.randrange(0, len(self._ways))].tell(message, to, heard, dice)


BEHAVIOURS: dict[str, type[Behaviour]] = {
    "equivocating-proposer": EquivocatingProposer,
    "two-faced": TwoFaced,
    "double-voter": DoubleVoter,
    "amnesiac": Amnesiac,
    "silent": Silent,
    "withholder": Withholder,
    "half-silent": HalfSilent,
    "precommit-withholder": PrecommitWithholder,
    "usurper": Usurper,
    "time-traveller": TimeTraveller,
    "replayer": Replayer,
    "bad-beacon": BadBeacon,
    "polka-forger": PolkaForger,
    "fickle": Fickle,
}


def _side(message: Message, to: int) -> bool:
    """Which half a peer is in; the halves change with height and round, and all liars know them."""
    return bool(to + message.height + message.round & 1)


def _other(value: bytes) -> bytes:
    """The second value of a pair; that of the second is itself."""
    return value.removesuffix(OTHER_SUFFIX) + OTHER_SUFFIX


def _spoken(event: Input) -> Iterator[Message]:
    if isinstance(event, VoteReceived):
        yield event.vote
    elif isinstance(event, ProposalReceived):
        yield event.proposal


def _proposals(heard: Heard, round_: int) -> Iterator[Proposal]:
    for event in heard:
        if isinstance(event, ProposalReceived) and event.proposal.round == round_:
            yield event.proposal
