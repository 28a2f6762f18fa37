"""A simulated validator whose log and sign state are the real files, torn at any byte when its power is cut."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chain.consensus import messages
from chain.consensus.conditions import Dice
from chain.consensus.core import Core
from chain.consensus.messages import Input, ProposalReceived, TimeoutElapsed, ValueReady, VoteReceived
from chain.consensus.recovery import Signed, own_signatures
from chain.consensus.simulated_node import Node
from chain.engines.height_log import Entry, HeightLog, LoggedProposal, LoggedTimeout, LoggedVote
from chain.engines.sign_state import SignedBefore, SignState
from chain.wire.cometbft import BlockID, Proposal, Vote
from tests.chain.engines.small_chain import Crash, Disk, Fuse


@dataclass(eq=False)
class NodeWithDisk(Node):
    """Keeps its promises by `HeightLog` and `SignState` alone; `folder` is its disk."""

    folder: Path = Path()
    dice: random.Random = field(default_factory=random.Random)
    cuts: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.fuse = Fuse()
        self.disk = Disk(self.fuse, self.dice)
        self._logged_height = 0
        self._let_go: Signed | None = None
        self._open()

    def begin_log(self) -> None:
        super().begin_log()
        if self._logged_height <= self.core.height:
            self._logged_height = self.core.height + 1
            self.height_log.begin(self._logged_height)
            for event in self.log:
                self._append(event)

    def write(self, event: Input) -> None:
        before = len(self.log)
        super().write(event)
        if len(self.log) > before:
            self._append(event)

    def sync(self) -> None:
        super().sync()
        self.height_log.sync()

    def sign(self, place: Signed) -> None:
        super().sign(place)
        self.sign_state.stage(self.name, SignedBefore(place, place.height, b"signature"))
        self.sign_state.save()
        self._let_go = place

    def lose_power(self, dice: Dice) -> None:
        """What was durable must be there when the power is back; of the rest any bytes."""
        promised = dict.fromkeys(_kept(self.log[: self.durable], self._logged_height))
        self.up = False
        self.cuts += 1
        self._cut_while_signing()
        self.height_log.close()
        self.sign_state.close()
        self.disk.power_cut(self.folder)
        self._open()
        self._logged_height = self.height
        self.log = [_event(entry, self.height) for entry in self.height_log.begin(self.height)]
        found = iter(self.log)
        assert all(event in found for event in promised), f"node {self.index} lost what was durable"
        before = self.sign_state.last(self.name)
        self.signed = before.signed if before else None
        if self._let_go is not None:
            assert self.signed and _place(self.signed) >= _place(self._let_go), f"node {self.index} forgot a signature"
        self._hear_log()

    def close(self) -> None:
        self.height_log.close()
        self.sign_state.close()

    def _open(self) -> None:
        self.height_log = HeightLog(self.folder / "height_log", self.disk.sync)
        self.sign_state = SignState(self.folder / "sign_state", self.disk.sync)

    def _append(self, event: Input) -> None:
        for kept in _kept([event], self._logged_height):
            self.height_log.append(_entry(kept))

    def _cut_while_signing(self) -> None:
        """Half of the cuts strike while the newest signature of the log is on its way into the sign state."""
        newest = max(own_signatures(self.name, self.log), key=_place, default=None)
        if newest is None or not self.sign_state.allows(self.name, newest) or self.dice.getrandbits(1):
            return
        self.fuse.blow_at = self.fuse.count + self.dice.randint(1, 2)
        try:
            self.sign_state.stage(self.name, SignedBefore(newest, newest.height, b"signature"))
            self.sign_state.save()
        except Crash:
            pass
        self.fuse.blow_at = None


def on_disks(folder: Path, seed: int, made: list[NodeWithDisk]) -> Callable[..., Node]:
    """Makes the nodes of one run: the honest ones on disks in `folder`, noted in `made`, the others as they were."""

    def make(index: int, name: bytes, core: Core, faulty: bool, *more: Any) -> Node:
        if faulty:
            return Node(index, name, core, faulty, *more)
        dice = random.Random(1_000 * seed + index)
        made.append(NodeWithDisk(index, name, core, faulty, *more, folder=folder / str(index), dice=dice))
        return made[-1]

    return make


def _place(signed: Signed) -> tuple[int, int, int]:
    return (signed.height, signed.round, signed.step)


def _kept(events: list[Input], height: int) -> Iterator[Input]:
    """What a real log holds: messages of its height alone, and no value in waiting, as its proposal holds the block."""
    return (event for event in events if not isinstance(event, ValueReady) and _height(event) == height)


def _height(event: Input) -> int:
    match event:
        case ProposalReceived(message) | VoteReceived(message):
            return message.height
    return event.height


def _entry(event: Input) -> Entry:
    match event:
        case ProposalReceived(p, valid):
            wire = Proposal(p.height, p.round, p.pol_round, BlockID(p.value_id), 0)
            return LoggedProposal(wire, p.proposer, b"\x01" if valid else b"\x00")
        case VoteReceived(v):
            block_id = None if v.value_id is None else BlockID(v.value_id)
            return LoggedVote(Vote(v.kind, v.height, v.round, block_id, 0, v.validator, 0))
        case TimeoutElapsed(step, _, round_):
            return LoggedTimeout(b"", step, round_)
    raise AssertionError(event)


def _event(entry: Entry, height: int) -> Input:
    match entry:
        case LoggedProposal(p, proposer, block):
            proposal = messages.Proposal(p.height, p.round, p.block_id.hash, p.pol_round, proposer)
            return ProposalReceived(proposal, block == b"\x01")
        case LoggedVote(v):
            value_id = None if v.block_id is None else v.block_id.hash
            return VoteReceived(messages.Vote(v.type, v.height, v.round, value_id, v.validator_address))
        case LoggedTimeout(_, step, round_):
            return TimeoutElapsed(step, height, round_)
    raise AssertionError(entry)
