"""A whole network in one thread: n cores, a hostile network and hostile disks, all drawn from one seed.

It owns time (integer microseconds), the network (delay, reordering, loss, duplication, partitions), crashes (the log
loses what was not synced; a crash may strike between the sign state's write and the sending), clocks that run too fast
or too slow, validators that lie (`byzantine`), and twins: two nodes with one key, which is how honest code plays an
equivocating validator. It checks while it runs

- agreement: no two correct nodes decide differently at a height;
- validity: what is decided was proposed by whose turn it was, and is valid;
- no contradiction: a correct key never signs two things at one place, and is never accused;
- liveness: after the faults end, every correct node reaches the target height within a bounded time.

The same conditions and seed give the same run; a `SimulationFailure` prints both.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from chain.consensus.byzantine import BEHAVIOURS, Message
from chain.consensus.conditions import Conditions, Dice, SimulationFailure
from chain.consensus.core import Core
from chain.consensus.messages import (
    NO_ROUND,
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
from chain.consensus.simulated_node import Node
from chain.consensus.values import INVALID_PREFIX, Values

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


@dataclass(frozen=True, slots=True)
class Fault:
    """A change of the weather: a node crashes or restarts, the network splits into `groups`, or all faults end."""

    kind: str
    groups: tuple[int, ...] = ()


class Simulation:
    """One run; `run` returns when every correct node has decided the target height."""

    def __init__(
        self,
        dice: Dice,
        conditions: Conditions,
        seed: object = None,
        make_node: Callable[..., Node] = Node,
        values: Values | None = None,
    ) -> None:
        """`make_node` takes Node's fields and may bring a disk of its own; `values` may bring blocks."""
        self._make_node = make_node
        self._values = values or Values()
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
        self._faults_possible = conditions.anything_can_fail
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
                node.begin_log()
            effects = node.core.step(item)
            if effects:
                self._perform(node, effects, queue)
            if not node.up:
                return

    def _enqueue(self, node: Node, queue: list[Input], event: Input) -> None:
        """What a core is told is logged in the order of telling."""
        queue.append(event)
        if self._faults_possible:
            node.write(event)

    def _perform(self, node: Node, effects: list[Effect], queue: list[Input]) -> None:
        for effect in effects:
            if isinstance(effect, BroadcastVote):
                self._send_vote(node, effect, queue)
            elif isinstance(effect, ScheduleTimeout):
                over = TimeoutElapsed(effect.step, effect.height, effect.round)
                duration_us = effect.duration_ms * 1000
                self._push(self.now_us + duration_us + (duration_us * node.clock_skew >> 10), node, over)
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
        self._values.build(node.index, effect.height, value)
        return ValueReady(effect.height, effect.round, value)

    def _send_vote(self, node: Node, effect: BroadcastVote, queue: list[Input]) -> None:
        vote = Vote(effect.kind, effect.height, effect.round, effect.value_id, node.name)
        event = VoteReceived(vote)
        if self._sign(node, signed_place(event), event, queue):
            self._say(node, vote, event)

    def _send_proposal(self, node: Node, effect: BroadcastProposal, queue: list[Input]) -> None:
        proposal = Proposal(effect.height, effect.round, effect.value_id, effect.pol_round, node.name)
        event = self._judged(node, proposal)
        if self._sign(node, signed_place(event), event, queue):
            self._say(node, proposal, event)

    def _judged(self, node: Node, proposal: Proposal) -> ProposalReceived:
        """As every correct node takes it in."""
        valid = self._values.is_valid(node.index, proposal.height, proposal.value_id)
        return ProposalReceived(proposal, valid)

    def _sign(self, node: Node, place: Signed, event: Input, queue: list[Input]) -> bool:
        """What a driver promises: log, then sign state, then the signature may leave; it may crash after each."""
        if not node.faulty and not may_sign(node.signed, place):
            raise self._failure(f"contradiction: node {node.index} is to sign {place} after {node.signed}")
        self._enqueue(node, queue, event)
        node.sync()
        if not node.faulty:
            at = (node.name, place.height, place.round, place.step)
            if self._issued.setdefault(at, place.content) != place.content:
                raise self._failure(f"contradiction: {at} signed {self._issued[at]!r} and {place.content!r}")
        if self._strikes(node):
            return False
        node.sign(place)
        return not self._strikes(node)

    def _strikes(self, node: Node) -> bool:
        """Whether the node crashes just now."""
        faults = self.conditions.crashes and self.now_us < self.conditions.faults_end_us
        if not faults or self.dice.getrandbits(6):
            return False
        node.lose_power(self.dice)
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
        self._values.decide(node.index, height, value)
        if self._faults_possible:
            node.decisions[height] = (self._proposal_of(node, effect), effect.votes)
        node.begin_log()
        node.height = height + 1
        # A node that is done goes on, so that those behind can still finish.
        following = StartHeight(height + 1, self.validators)
        if self.conditions.pause_us or len(self.nodes) == 1:
            self._push(self.now_us + self.conditions.pause_us, node, following)
        else:
            queue.append(following)

    def _proposal_of(self, node: Node, effect: Decide) -> ProposalReceived:
        """The proposal that the decision rests on; a log also holds what the core did not want to hear."""
        proposer = self._proposer(effect.height, effect.round)
        for event in node.log:
            if isinstance(event, ProposalReceived):
                p = event.proposal
                wanted = (p.value_id, p.round, p.proposer) == (effect.value_id, effect.round, proposer)
                if wanted and NO_ROUND <= p.pol_round < p.round:
                    return event
        raise self._failure(f"validity: {effect.value_id!r} decided, but {proposer!r} did not propose it")

    def _note_evidence(self, node: Node, evidence: Equivocation) -> None:
        """A liar's own accusations count for nothing."""
        if node.behaviour is not None:
            return
        self.evidence.append(evidence)
        name = evidence.first.validator
        if all(n.name != name or not n.faulty for n in self.nodes):
            raise self._failure(f"false accusation of {name!r}")

    # The network

    def _say(self, sender: Node, message: Message, event: Input) -> None:
        """Everybody hears the same, unless the sender is a liar."""
        if sender.behaviour is None:
            self._broadcast(sender, event)
            return
        for peer in self.nodes:
            if peer is not sender:
                for told in sender.behaviour.tell(message, peer.index, sender.heard, self.dice):
                    event = VoteReceived(told) if isinstance(told, Vote) else self._judged(sender, told)
                    assert _signer(told) == sender.name or event in sender.heard, f"{sender.name!r} forged {told}"
                    if isinstance(event, ProposalReceived):
                        self._proposed[event.proposal.value_id] = None
                    self._transmit(sender, peer, event)

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
        if not node.up or node.behaviour is not None:
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
            node.lose_power(self.dice)
        elif fault.kind == "restart" and not node.up:
            self._restart(node)

    def _restart(self, node: Node) -> None:
        node.up = True
        node.core = self._new_core(node.name)
        if self.conditions.forgetful:
            node.forget()
        effects = replay(node.core, [StartHeight(node.height, self.validators), *node.log])
        node.sync()
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
        name, conditions = self.instances[index], self.conditions
        behaviour = None
        first_liar = conditions.validators - len(conditions.byzantine)
        if first_liar <= index < conditions.validators:
            behaviour = BEHAVIOURS[conditions.byzantine[index - first_liar]]()
        faulty = behaviour is not None or self.instances.count(name) > 1
        skew = conditions.clock_skew and self.dice.randrange(-conditions.clock_skew, conditions.clock_skew + 1)
        return self._make_node(index, name, self._new_core(name), faulty, behaviour, skew)

    def _new_core(self, name: bytes) -> Core:
        return Core(name, self._proposer, TIMEOUTS)

    def _proposer(self, height: int, round_: int) -> bytes:
        return self._names[(height * 13 + round_) % len(self._names)]

    def _failure(self, what: str) -> SimulationFailure:
        return SimulationFailure(what, self.conditions, self.seed)


def _signer(message: Message) -> bytes:
    return message.proposer if isinstance(message, Proposal) else message.validator
