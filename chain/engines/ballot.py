"""One height: a consensus core for every key of this node, around one table.

Messages go to all cores in one order, which is the order of the height's log; that is why a ballot that crashed comes
back exactly where it was by reading the log again. What a core wants to say is signed, written to the log, then to the
sign state, and counts only after both are durable. Everything happens inside the calls (`start`, `timeout`); time comes
in from outside.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from chain.consensus import messages
from chain.consensus.core import Core, Proposer
from chain.consensus.messages import (
    PRECOMMIT,
    BroadcastProposal,
    BroadcastVote,
    Decide,
    Effect,
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
from chain.consensus.recovery import replay
from chain.crypto import ed25519
from chain.engines.block_rules import make_commit
from chain.engines.height_log import Entry, HeightLog, LoggedProposal, LoggedSkip, LoggedTimeout, LoggedVote
from chain.engines.sign_state import SignState
from chain.engines.signer import Signer
from chain.errors import Faulty
from chain.wire.cometbft import Block, BlockID, Commit, Proposal, ValidatorSet, Vote

MS_NS = 1_000_000

log = logging.getLogger(__name__)


class Blocks(Protocol):
    """Where blocks of this height come from and who judges them."""

    def build(self, proposer: bytes) -> Block: ...

    def is_valid(self, block: Block, block_hash: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Decision:
    block: Block
    block_id: BlockID
    commit: Commit


@dataclass(frozen=True, slots=True)
class Table:
    """What stays the same from height to height."""

    chain_id: str
    signers: tuple[Signer, ...]
    sign_state: SignState
    log: HeightLog
    timeouts: Timeouts
    now_ns: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A block of this height that was proposed, with the answer to valid(v)."""

    block: Block
    block_id: BlockID
    valid: bool


class Ballot:
    """Runs one height to its `decision`; `schedule(ms, effect, core name)` must lead to a call of `timeout`."""

    def __init__(
        self,
        table: Table,
        height: int,
        validators: ValidatorSet,
        last_time_ns: int,
        proposer: Proposer,
        blocks: Blocks,
        schedule: Callable[[ScheduleTimeout, bytes], None],
    ) -> None:
        self.height = height
        self.decision: Decision | None = None
        self._table = table
        self._validators = validators
        self._last_time_ns = last_time_ns
        self._blocks = blocks
        self._schedule = schedule
        mine = [s for s in table.signers if validators.by_address(s.address) is not None]
        self._signers = {s.address: s for s in sorted(mine, key=lambda s: s.address)}
        self._cores = {a: Core(a, proposer, table.timeouts) for a in self._signers}
        self._candidates: dict[bytes, Candidate] = {}
        self._precommits: dict[int, dict[bytes, Vote]] = {}
        self._decided: tuple[int, bytes] | None = None
        self._inbox: deque[Entry] = deque()
        self._outbox: list[tuple[Core, BroadcastProposal | BroadcastVote]] = []
        power = sum(v.power for v in validators if v.address in self._signers)
        if power * 3 <= validators.total_power * 2:
            total = validators.total_power
            raise Faulty("home_invalid", f"the keys here hold {power} of {total} votes at height {height}: too few")

    def start(self) -> None:
        """Begins the height, or takes it up where the log ends."""
        start = StartHeight(self.height, tuple((v.address, v.power) for v in self._validators))
        entries = self._table.log.begin(self.height)
        inputs = [(entry, self._input(entry)) for entry in entries]
        self._remember(entries)
        for name, core in self._cores.items():
            heard = [event for entry, event in inputs if _is_for(entry, name)]
            self._perform(core, replay(core, [start, *heard]))
        self._pump()

    def timeout(self, effect: ScheduleTimeout, name: bytes) -> None:
        """A timeout of the core of validator `name` is over."""
        core = self._cores[name]
        if self.decision is None and (effect.round, effect.step) >= (core.round, core.step_name):
            self._tell(LoggedTimeout(name, effect.step, effect.round))
            self._pump()

    def _tell(self, entry: Entry) -> None:
        """The order of the log is the order in which the cores hear."""
        self._table.log.append(entry)
        self._inbox.append(entry)

    def _pump(self) -> None:
        """Until nobody has anything more to say. All that was said together is made durable together."""
        while self._inbox or self._outbox:
            while self._inbox:
                entry = self._inbox.popleft()
                event = self._input(entry)
                for name, core in self._cores.items():
                    if _is_for(entry, name):
                        self._perform(core, core.step(event))
            self._sign_all()
        if self._decided is not None and self.decision is None:
            self._conclude(*self._decided)

    def _perform(self, core: Core, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case BroadcastVote() | BroadcastProposal():
                    self._outbox.append((core, effect))
                case ScheduleTimeout():
                    self._schedule(effect, core.name)
                case GetValue():
                    candidate = self._candidate(self._blocks.build(core.name))
                    value = candidate.block_id.hash
                    self._perform(core, core.step(ValueReady(effect.height, effect.round, value)))
                case Decide():
                    assert self._decided in (None, (effect.round, effect.value_id)), "cores decided differently"
                    self._decided = (effect.round, effect.value_id)
                case messages.Equivocation():
                    raise Faulty("state_corrupt", f"a key of this node signed twice: {effect}")

    # Signing

    def _sign_all(self) -> None:
        """Signs what the cores want to say; the cores hear it when log and sign state are durable."""
        batch, self._outbox = self._outbox, []
        skip = False
        for core, effect in batch:
            entry = self._sign(core, effect)
            if entry is not None:
                self._tell(entry)
            else:
                skip = skip or effect.round == core.round
        if skip:
            self._tell(self._skip())
        self._table.log.sync()
        self._table.sign_state.save()

    def _remember(self, entries: list[Entry]) -> None:
        """A crash between log and sign state leaves signatures in the log that the sign state has not heard of."""
        for entry in entries:
            if isinstance(entry, LoggedVote) and entry.vote.validator_address in self._signers:
                self._signers[entry.vote.validator_address].remember(entry.vote, self._table.chain_id)
            elif isinstance(entry, LoggedProposal) and entry.proposer in self._signers:
                self._signers[entry.proposer].remember(entry.proposal, self._table.chain_id)

    def _sign(self, core: Core, effect: BroadcastProposal | BroadcastVote) -> Entry | None:
        signer, chain_id = self._signers[core.name], self._table.chain_id
        if isinstance(effect, BroadcastProposal):
            candidate = self._candidates[effect.value_id]
            time_ns = self._table.now_ns()
            proposal = Proposal(self.height, effect.round, effect.pol_round, candidate.block_id, time_ns)
            signed = signer.sign_proposal(proposal, chain_id)
            return None if signed is None else LoggedProposal(signed, core.name, candidate.block.encode())
        index = self._validators.index_of(core.name)
        assert index is not None
        block_id, floor_ns = None, self._last_time_ns
        if effect.value_id is not None:
            candidate = self._candidates[effect.value_id]
            block_id, floor_ns = candidate.block_id, candidate.block.header.time_ns
        time_ns = max(self._table.now_ns(), floor_ns + MS_NS)
        vote = signer.sign_vote(
            Vote(effect.kind, self.height, effect.round, block_id, time_ns, core.name, index), chain_id
        )
        return None if vote is None else LoggedVote(vote)

    def _skip(self) -> LoggedSkip:
        """A lost log: a key has said something here that nobody remembers; meet in a round that is free for all."""
        signed = [s.last_signed() for s in self._signers.values()]
        past = [s.round for s in signed if s is not None and s.height == self.height]
        later = 1 + max([core.round for core in self._cores.values()] + past)
        log.warning("height %d: a key has signed round %d already; going on in round %d", self.height, later - 1, later)
        return LoggedSkip(later)

    # What was said

    def _input(self, entry: Entry) -> Input:
        """A log entry as the cores hear it; checks signatures and blocks, also when they come from the log."""
        match entry:
            case LoggedProposal(proposal, proposer, _):
                self._verify(proposer, proposal.sign_bytes(self._table.chain_id), proposal.signature)
                candidate = self._candidates.get(proposal.block_id.hash) or self._candidate(Block.decode(entry.block))
                value, pol_round = candidate.block_id.hash, proposal.pol_round
                heard = messages.Proposal(self.height, proposal.round, value, pol_round, proposer)
                return ProposalReceived(heard, candidate.valid)
            case LoggedVote(vote):
                self._verify(vote.validator_address, vote.sign_bytes(self._table.chain_id), vote.signature)
                if vote.type == PRECOMMIT:
                    self._precommits.setdefault(vote.round, {})[vote.validator_address] = vote
                value_id = vote.block_id.hash if vote.block_id else None
                return VoteReceived(
                    messages.Vote(vote.type, self.height, vote.round, value_id, vote.validator_address, vote)
                )
            case LoggedTimeout(_, step, round_):
                return TimeoutElapsed(Step(step), self.height, round_)
            case LoggedSkip(round_):
                return SkipToRound(self.height, round_)

    def _candidate(self, block: Block) -> Candidate:
        """Judges a block once, however often it is proposed."""
        block_hash = block.header.hash()
        if block_hash not in self._candidates:
            valid = self._blocks.is_valid(block, block_hash)
            self._candidates[block_hash] = Candidate(block, BlockID(block_hash, block.part_set_header()), valid)
        return self._candidates[block_hash]

    def _verify(self, address: bytes, sign_bytes: bytes, signature: bytes) -> None:
        validator = self._validators.by_address(address)
        if validator is None or not ed25519.verify(validator.public, sign_bytes, signature):
            raise Faulty("state_corrupt", f"a message of {address.hex()} at height {self.height} is not its own")

    def _conclude(self, round_: int, value_id: bytes) -> None:
        candidate = self._candidates[value_id]
        precommits: Mapping[bytes, Vote] = self._precommits[round_]
        commit = make_commit(self.height, round_, candidate.block_id, self._validators, dict(precommits))
        self.decision = Decision(candidate.block, candidate.block_id, commit)


def _is_for(entry: Entry, name: bytes) -> bool:
    return not isinstance(entry, LoggedTimeout) or entry.validator == name
