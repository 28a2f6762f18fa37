"""The write-ahead log of one height: what the cores were told, in order, to be told again after a crash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chain.consensus.messages import Step
from chain.engines.durable import Sync, disk_errors, frame, frames, write_all
from chain.errors import Faulty, Malformed
from chain.files import sync_folder
from chain.wire import cbor
from chain.wire.cometbft import MAX_BLOCK_BYTES, BlockID, Proposal, Vote

MAX_ENTRY_BYTES = MAX_BLOCK_BYTES + 4096


@dataclass(frozen=True, slots=True)
class LoggedProposal:
    """A signed proposal with the block's protobuf bytes."""

    proposal: Proposal
    proposer: bytes
    block: bytes


@dataclass(frozen=True, slots=True)
class LoggedVote:
    vote: Vote


@dataclass(frozen=True, slots=True)
class LoggedTimeout:
    """A timeout of one core, named by its validator's address."""

    validator: bytes
    step: Step
    round: int


@dataclass(frozen=True, slots=True)
class LoggedSkip:
    """All cores left for a later round because a key could not sign in this one."""

    round: int


Entry = LoggedProposal | LoggedVote | LoggedTimeout | LoggedSkip


class HeightLog:
    """One file, begun anew at each height; entries carry their height, so what an earlier height left is not read."""

    def __init__(self, path: Path, sync: Sync = os.fdatasync) -> None:
        self._path = path
        self._sync = sync
        with disk_errors(f"opening {path}"):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            sync_folder(path.parent)
        self._end = 0
        self._height = 0
        self._dirty = False

    def begin(self, height: int) -> list[Entry]:
        """Makes the log that of `height` and returns what it holds of it already; a torn tail is cut off."""
        # Only a log that was just opened, or stands at this height already, can hold entries of it.
        content = self._path.read_bytes() if self._height in (0, height) else b""
        self._height = height
        self._end = 0
        entries = []
        for payload in frames(content):
            items = self._read(payload)
            if items[0] != height:
                break
            entries.append(_decode(height, items[1:]))
            self._end += len(frame(payload))
        with disk_errors(f"truncating {self._path}"):
            os.ftruncate(self._file, self._end)
        return entries

    def append(self, entry: Entry) -> None:
        """Not durable before `sync`."""
        data = frame(cbor.encode([self._height, *_items(entry)]))
        with disk_errors(f"writing {self._path}"):
            write_all(self._file, data, self._end)
        self._end += len(data)
        self._dirty = True

    def sync(self) -> None:
        """Makes all entries durable; raises Faulty `disk_full`."""
        if self._dirty:
            with disk_errors(f"writing {self._path}"):
                self._sync(self._file)
            self._dirty = False

    def close(self) -> None:
        os.close(self._file)

    def _read(self, payload: bytes) -> list[object]:
        try:
            items = cbor.decode(payload, MAX_ENTRY_BYTES)
            assert isinstance(items, list)
            return items
        except (Malformed, AssertionError) as error:
            raise Faulty("state_corrupt", f"{self._path} holds an entry that cannot be read: {error}") from error


def _items(entry: Entry) -> Iterator[object]:
    """The canonical CBOR form after the height: a number for the kind, then the fields."""
    match entry:
        case LoggedProposal(p, proposer, block):
            yield from (0, p.round, p.pol_round, p.block_id.encode(), p.timestamp_ns, p.signature, proposer, block)
        case LoggedVote(v):
            block_id = None if v.block_id is None else v.block_id.encode()
            yield from (1, v.type, v.round, block_id, v.timestamp_ns, v.validator_address, v.validator_index)
            yield v.signature
        case LoggedTimeout(validator, step, round_):
            yield from (2, validator, int(step), round_)
        case LoggedSkip(round_):
            yield from (3, round_)


def _decode(height: int, items: list[object]) -> Entry:
    match items:
        case [
            0,
            int(round_),
            int(pol_round),
            bytes(block_id),
            int(time_ns),
            bytes(signature),
            bytes(who),
            bytes(block),
        ]:
            proposal = Proposal(height, round_, pol_round, BlockID.decode(block_id), time_ns, signature)
            return LoggedProposal(proposal, who, block)
        case [1, int(kind), int(round_), bytes() | None as block_id, int(time_ns), bytes(who), int(index), bytes(sig)]:
            voted = None if block_id is None else BlockID.decode(block_id)
            return LoggedVote(Vote(kind, height, round_, voted, time_ns, who, index, sig))
        case [2, bytes(validator), int(step), int(round_)]:
            return LoggedTimeout(validator, Step(step), round_)
        case [3, int(round_)]:
            return LoggedSkip(round_)
    raise Faulty("state_corrupt", f"the log of height {height} holds an unknown entry {items[:1]}")
