"""One validator of a simulated network, with the disk that it has: what it knows, and what a crash leaves of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain.consensus.byzantine import Behaviour
from chain.consensus.conditions import Dice
from chain.consensus.core import Core
from chain.consensus.messages import Input, ProposalReceived, StartHeight, Vote, VoteReceived
from chain.consensus.recovery import Signed


@dataclass(slots=True, eq=False)
class Node:
    """One process with its disk: `log` up to `durable` and `signed` survive a crash, as do `decisions`.

    A subclass can keep log and sign state where a real node does: everything goes through the methods.
    """

    index: int
    name: bytes
    core: Core
    faulty: bool = False
    behaviour: Behaviour | None = None
    clock_skew: int = 0
    up: bool = True
    log: list[Input] = field(default_factory=list)
    heard: dict[Input, None] = field(default_factory=dict)
    durable: int = 0
    signed: Signed | None = None
    decisions: dict[int, tuple[ProposalReceived, tuple[Vote, ...]]] = field(default_factory=dict)
    height: int = 1
    height_at_gossip: int = 0

    def begin_log(self) -> None:
        """A height's log begins with what the core kept of it; what it did not keep may be told again."""
        self.log = self.core.early
        self.durable = 0
        self._hear_log()

    def write(self, event: Input) -> None:
        """Not durable before `sync`; a duplicate changes nothing and is left out."""
        if type(event) is StartHeight or event in self.heard:
            return
        self.log.append(event)
        if isinstance(event, VoteReceived | ProposalReceived):
            self.heard[event] = None

    def sync(self) -> None:
        self.durable = len(self.log)

    def sign(self, place: Signed) -> None:
        """Durable when it returns."""
        self.signed = place

    def lose_power(self, dice: Dice) -> None:
        """Loses a random part of what was not synced."""
        self.up = False
        del self.log[dice.randrange(self.durable, len(self.log) + 1) :]
        self._hear_log()

    def forget(self) -> None:
        """A disk that lost everything, which must not happen."""
        self.log.clear()
        self.heard.clear()
        self.signed = None

    def _hear_log(self) -> None:
        self.heard = dict.fromkeys(e for e in self.log if isinstance(e, VoteReceived | ProposalReceived))
