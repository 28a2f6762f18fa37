"""A whole network in one thread: n cores, a hostile network and hostile disks, all drawn from one seed.

It owns time (integer microseconds), the network (delay, reordering, loss, duplication, partitions), crashes (the log
loses what was not synced; a crash may strike between the sign state's write and the sending), and twins: two nodes with
one key, which is how an equivocating validator is played by honest code. It checks while it runs

- agreement: no two correct nodes decide differently at a height;
- validity: what is decided was proposed, and is valid;
- no contradiction: a correct key never signs two things at one place, and is never accused;
- liveness: after the faults end, every correct node reaches the target height within a bounded time.

The same conditions and seed give the same run; a `SimulationFailure` prints both.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Protocol

from chain.consensus.core import Core
from chain.consensus.messages import (
    BroadcastProposal,
    BroadcastVote,
    Decide,
    Effect,
    Equivocation,
    GetValue,
    Input,
    Proposal,
    ProposalReceived,
    ScheduleTimeout,
    StartHeight,
    TimeoutElapsed,
    Timeouts,
    ValueReady,
    Vote,
    VoteReceived,
)
from chain.consensus.recovery import Signed, may_sign, own_signatures, replay, signed_place

INVALID_PREFIX = b"!"
TIMEOUTS = Timeouts(
    propose_ms=30,
    propose_delta_ms=10,
    prevote_ms=10,
    prevote_delta_ms=10,
    precommit_ms=10,
    precommit_delta_ms=10,
)
GOSSIP_EVERY_US = 40_000
# A round lasts some 50 ms at first and 30 ms more each; nobody needs 60 virtual seconds for a height without faults.
LIVENESS_BOUND_US = 60_000_000


class Dice(Protocol):
    """The part of random.Random that the simulator draws from."""

    def getrandbits(self, k: int, /) -> int: ...

    def randrange(self, start: int, stop: int, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run is made of. Rates are in 1/1024 per message; faults happen before `faults_end_us`."""

    validators: int = 4
    twins: int = 0
    heights: int = 10  # to decide after the faults ended
    pause_us: int = 0  # between a decision and the next height
    powers: tuple[int, ...] = ()
    delay_us: tuple[int, int] = (100, 2_000)
    loss: int = 0
    duplicates: int = 0
    partitions: int = 0
    crashes: int = 0
    faults_end_us: int = 0
    forgetful: bool = False  # a deliberate bug: restart without the log, to see that the checks can fail


class SimulationFailure(AssertionError):
    """A broken promise, with everything that is needed to see it again."""

    def __init__(self, what: str, conditions: Conditions, seed: object) -> None:
        super().__init__(f"{what}\nreplay: Simulation(random.Random({seed!r}), {conditions!r}, {seed!r}).run()")


@dataclass(slots=True, eq=False)
class Node:
    """One process with its disk: `log` up to `durable` and `signed` survive a crash, as do `decisions`."""

    index: int
    name: bytes
    core: Core
    faulty: bool
    up: bool = True
    log: list[Input] = field(default_factory=list)
    heard: dict[Input, None] = field(default_factory=dict)
    durable: int = 0
    signed: Signed | None = None
    decisions: dict[int, tuple[ProposalReceived, tuple[Vote, ...]]] = field(default_factory=dict)
    height: int = 1
    height_at_gossip: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """A change of the weather: a node crashes or restarts, the network splits into `groups`, or all faults end."""

    kind: str
    groups: tuple[int, ...] = ()


class Simulation:
    """One run; `run` returns when every correct node has decided the target height."""

    def __init__(self, dice: Dice, conditions: Conditions, seed: object = None) -> None:
        self.dice = dice
        self.conditions = conditions
        self.seed = seed
        self.now_us = 0
        self.events = 0
        self.evidence: list[Equivocation] = []
        self.decided: dict[int, bytes] = {}
        names = [b"validator-%03d" % i for i in range(conditions.validators)]
        powers = conditions.powers or (1,) * len(names)
        self.validators = tuple(zip(names, powers, strict=True))
        self.instances = names + names[: conditions.twins]
        self.nodes = [self._new_node(i) for i in range(len(self.instances))]
        self.correct = [n for n in self.nodes if not n.faulty]
        self._names = names
        self._faults_possible = bool(
            conditions.loss or conditions.partitions or conditions.crashes or conditions.twins or conditions.duplicates
        )
        self._groups: tuple[int, ...] = ()
        self._heap: list[tuple[int, int, Node, Input | Fault | None]] = []
        self._sequence = 0
        self._issued: dict[tuple[bytes, int, int, int], bytes] = {}
        self._proposed: dict[bytes, None] = {}
        self._unfinished = len(self.correct)
        self._target = 0 if self._faults_possible else conditions.heights

    def run(self) -> Simulation:
        """Runs to the target height; raises SimulationFailure."""
        self._schedule_faults()
        for node in self.nodes:
            self._feed(node, StartHeight(1, self.validators))
        heap = self._heap
        deadline_us = self.conditions.faults_end_us + LIVENESS_BOUND_US + 100_000 * self.conditions.heights
        while self._unfinished:
            if not heap or self.now_us > deadline_us:
                raise self._failure(f"liveness: {self._unfinished} nodes stand still at {self.now_us} us")
            self.now_us, _, node, event = heapq.heappop(heap)
            if isinstance(event, Fault):
                self._change_weather(node, event)
            elif event is None:
                self._gossip(node)
            elif node.up and not (isinstance(event, StartHeight) and event.height <= node.core.height):
                self._feed(node, event)
        return self

    # One node

    def _feed(self, node: Node, event: Input) -> None:
        """Steps one core, and whatever it sends to itself, until it waits for the world again."""
        queue: list[Input] = []
        self._enqueue(node, queue, event)
        for item in queue:
            self.events += 1
            if type(item) is StartHeight:
                node.log = node.core.early
                node.durable = 0
            effects = node.core.step(item)
            if effects:
                self._perform(node, effects, queue)
            if not node.up:
                return

    def _enqueue(self, node: Node, queue: list[Input], event: Input) -> None:
        """What a core is told is logged in the order of telling; a duplicate changes nothing and is left out."""
        queue.append(event)
        if self._faults_possible and type(event) is not StartHeight and event not in node.heard:
            node.log.append(event)
            if isinstance(event, VoteReceived | ProposalReceived):
                node.heard[event] = None

    def _perform(self, node: Node, effects: list[Effect], queue: list[Input]) -> None:
        for effect in effects:
            if isinstance(effect, BroadcastVote):
                self._send_vote(node, effect, queue)
            elif isinstance(effect, ScheduleTimeout):
                over = TimeoutElapsed(effect.step, effect.height, effect.round)
                self._push(self.now_us + effect.duration_ms * 1000, node, over)
            elif isinstance(effect, Decide):
                self._decide(node, effect, queue)
            elif isinstance(effect, GetValue):
                self._enqueue(node, queue, self._value(node, effect))
            elif isinstance(effect, BroadcastProposal):
                self._send_proposal(node, effect, queue)
            else:
                self._note_evidence(node, effect)
            if not node.up:
                return

    def _value(self, node: Node, effect: GetValue) -> ValueReady:
        bad = node.faulty and self.dice.getrandbits(2) == 0
        number = len(self._proposed)  # never the same value twice, as no block is built the same twice
        value = b"%s%d/%d/%d/%d" % (INVALID_PREFIX if bad else b"", effect.height, effect.round, node.index, number)
        self._proposed[value] = None
        return ValueReady(effect.height, effect.round, value)

    def _send_vote(self, node: Node, effect: BroadcastVote, queue: list[Input]) -> None:
        event = VoteReceived(Vote(effect.kind, effect.height, effect.round, effect.value_id, node.name))
        if self._sign(node, signed_place(event), event, queue):
            self._broadcast(node, event)

    def _send_proposal(self, node: Node, effect: BroadcastProposal, queue: list[Input]) -> None:
        proposal = Proposal(effect.height, effect.round, effect.value_id, effect.pol_round, node.name)
        event = ProposalReceived(proposal, not effect.value_id.startswith(INVALID_PREFIX))
        if self._sign(node, signed_place(event), event, queue):
            self._broadcast(node, event)

    def _sign(self, node: Node, place: Signed, event: Input, queue: list[Input]) -> bool:
        """What a driver promises: log, then sign state, then the signature may leave; it may crash after each."""
        if not node.faulty and not may_sign(node.signed, place):
            raise self._failure(f"node {node.index} is to sign {place} after {node.signed}")
        self._enqueue(node, queue, event)
        node.durable = len(node.log)
        if not node.faulty:
            at = (node.name, place.height, place.round, place.step)
            if self._issued.setdefault(at, place.content) != place.content:
                raise self._failure(f"contradiction: {at} signed {self._issued[at]!r} and {place.content!r}")
        if self._strikes(node):
            return False
        node.signed = place
        return not self._strikes(node)

    def _strikes(self, node: Node) -> bool:
        """Whether the node crashes just now."""
        faults = self.conditions.crashes and self.now_us < self.conditions.faults_end_us
        if not faults or self.dice.getrandbits(6):
            return False
        self._crash(node)
        self._push(self.now_us + self.dice.randrange(1, 50_000), node, Fault("restart"))
        return True

    def _decide(self, node: Node, effect: Decide, queue: list[Input]) -> None:
        value, height = effect.value_id, effect.height
        if not node.faulty:
            if self.decided.setdefault(height, value) != value:
                raise self._failure(f"agreement: height {height} is {self.decided[height]!r} and {value!r}")
            if value not in self._proposed or value.startswith(INVALID_PREFIX):
                raise self._failure(f"validity: {value!r} decided at height {height}")
            if height == self._target:
                self._unfinished -= 1
        if self._faults_possible:
            node.decisions[height] = (self._proposal_of(node, effect), effect.votes)
        node.log = node.core.early
        node.durable = 0
        node.heard = dict.fromkeys(e for e in node.log if isinstance(e, VoteReceived | ProposalReceived))
        node.height = height + 1
        # A node that is done goes on, so that those behind can still finish.
        following = StartHeight(height + 1, self.validators)
        if self.conditions.pause_us or len(self.nodes) == 1:
            self._push(self.now_us + self.conditions.pause_us, node, following)
        else:
            queue.append(following)

    def _proposal_of(self, node: Node, effect: Decide) -> ProposalReceived:
        for event in node.log:
            if (
                isinstance(event, ProposalReceived)
                and event.proposal.value_id == effect.value_id
                and event.proposal.round == effect.round
            ):
                return event
        raise self._failure(f"decided {effect.value_id!r} without its proposal in the log")

    def _note_evidence(self, node: Node, evidence: Equivocation) -> None:
        self.evidence.append(evidence)
        name = evidence.first.validator
        if all(n.name != name or not n.faulty for n in self.nodes):
            raise self._failure(f"false accusation of {name!r}")

    # The network

    def _broadcast(self, sender: Node, event: Input) -> None:
        low, high = self.conditions.delay_us
        span = high - low
        dice = self.dice.getrandbits
        if not self._faults_possible:
            heap, now_us, sequence = self._heap, self.now_us + low, self._sequence
            for node in self.nodes:
                if node is not sender:
                    sequence += 1
                    heapq.heappush(heap, (now_us + (dice(16) * span >> 16), sequence, node, event))
            self._sequence = sequence
            return
        for node in self.nodes:
            if node is not sender:
                self._transmit(sender, node, event)

    def _transmit(self, sender: Node, receiver: Node, event: Input) -> None:
        if self._groups and self._groups[sender.index] != self._groups[receiver.index]:
            return
        faulty = self.now_us < self.conditions.faults_end_us
        if faulty and self.dice.getrandbits(10) < self.conditions.loss:
            return
        low, high = self.conditions.delay_us
        copies = 2 if faulty and self.dice.getrandbits(10) < self.conditions.duplicates else 1
        for _ in range(copies):
            self._push(self.now_us + low + (self.dice.getrandbits(16) * (high - low) >> 16), receiver, event)

    def _gossip(self, node: Node) -> None:
        """A node that stands still tells its peers what they may have missed; those behind get the decision."""
        self._push(self.now_us + GOSSIP_EVERY_US, node, None)
        if not node.up:
            return
        if node.height == node.height_at_gossip:
            for peer in self.nodes:
                if peer is not node and peer.height == node.height:
                    for event in node.heard:
                        self._transmit(node, peer, event)
        node.height_at_gossip = node.height
        for height in {peer.height: None for peer in self.nodes}:
            if height in node.decisions:
                proposal, votes = node.decisions[height]
                for peer in self.nodes:
                    if peer.height == height:
                        self._transmit(node, peer, proposal)
                        for vote in votes:
                            self._transmit(node, peer, VoteReceived(vote))

    def _push(self, at_us: int, node: Node, event: Input | Fault | None) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (at_us, self._sequence, node, event))

    # Faults

    def _schedule_faults(self) -> None:
        conditions, draw = self.conditions, self.dice.randrange
        if not self._faults_possible:
            return
        for node in self.nodes:
            self._push(draw(1, GOSSIP_EVERY_US), node, None)
        for _ in range(conditions.partitions):
            groups = tuple(draw(0, 2) for _ in self.nodes)
            self._push(draw(0, conditions.faults_end_us), self.nodes[0], Fault("partition", groups))
        for _ in range(conditions.crashes):
            at_us = draw(0, conditions.faults_end_us)
            node = self.nodes[draw(0, len(self.nodes))]
            self._push(at_us, node, Fault("crash"))
            self._push(draw(at_us, conditions.faults_end_us + 1), node, Fault("restart"))
        for node in self.nodes:
            self._push(conditions.faults_end_us, node, Fault("restart"))
        self._push(conditions.faults_end_us, self.nodes[0], Fault("end"))

    def _change_weather(self, node: Node, fault: Fault) -> None:
        if fault.kind == "partition":
            self._groups = fault.groups
        elif fault.kind == "end":
            self._groups = ()
            self._target = max(n.height for n in self.nodes) - 1 + self.conditions.heights
        elif fault.kind == "crash" and node.up:
            self._crash(node)
        elif fault.kind == "restart" and not node.up:
            self._restart(node)

    def _crash(self, node: Node) -> None:
        """Loses the core and a random part of what was not synced."""
        node.up = False
        del node.log[self.dice.randrange(node.durable, len(node.log) + 1) :]
        node.heard = dict.fromkeys(e for e in node.log if isinstance(e, VoteReceived | ProposalReceived))

    def _restart(self, node: Node) -> None:
        node.up = True
        node.core = self._new_core(node.name)
        if self.conditions.forgetful:
            node.log.clear()
            node.heard.clear()
            node.signed = None
        effects = replay(node.core, [StartHeight(node.height, self.validators), *node.log])
        node.durable = len(node.log)
        node.signed = max(
            [s for s in (node.signed, *own_signatures(node.name, node.log)) if s is not None],
            key=lambda s: (s.height, s.round, s.step),
            default=None,
        )
        queue: list[Input] = []
        self._perform(node, effects, queue)
        for event in queue:
            if node.up:
                self._feed(node, event)

    def _new_node(self, index: int) -> Node:
        name = self.instances[index]
        return Node(index, name, self._new_core(name), faulty=self.instances.count(name) > 1)

    def _new_core(self, name: bytes) -> Core:
        return Core(name, self._proposer, TIMEOUTS)

    def _proposer(self, height: int, round_: int) -> bytes:
        return self._names[(height * 7 + round_) % len(self._names)]

    def _failure(self, what: str) -> SimulationFailure:
        return SimulationFailure(what, self.conditions, self.seed)
