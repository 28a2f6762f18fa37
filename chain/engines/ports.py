"""What the embedded engine needs from the node around it: a place for blocks, and a source of transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chain.application.abci import ResponseFinalizeBlock
from chain.wire import cbor
from chain.wire.cometbft import Block, BlockID, Commit, PartSetHeader, Validator, ValidatorSet


@dataclass(frozen=True, slots=True)
class ChainState:
    """Where the chain stands after the block at `height`: all that the next header is made of, besides transactions.

    `validators` sign height + 1, `next_validators` height + 2; hashes are raw bytes, the time is nanoseconds.
    At `height` = initial height - 1 it is the genesis state, and block_id and last_results_hash are empty.
    """

    height: int
    block_id: BlockID
    block_time_ns: int
    validators: ValidatorSet
    next_validators: ValidatorSet
    app_hash: bytes
    last_results_hash: bytes
    app_version: int

    def encode(self) -> bytes:
        """Canonical CBOR, for a block store to keep."""
        parts = self.block_id.parts
        return cbor.encode(
            [
                self.height,
                [self.block_id.hash, parts.total, parts.hash],
                self.block_time_ns,
                [[v.public, v.power] for v in self.validators.validators],
                [[v.public, v.power] for v in self.next_validators.validators],
                self.app_hash,
                self.last_results_hash,
                self.app_version,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> ChainState:
        """The inverse of `encode`; raises Malformed."""
        height, (block_hash, total, parts_hash), time_ns, now, then, app_hash, results_hash, version = cbor.decode(data)
        return cls(
            height,
            BlockID(block_hash, PartSetHeader(total, parts_hash)),
            time_ns,
            ValidatorSet(tuple(Validator(public, power) for public, power in now)),
            ValidatorSet(tuple(Validator(public, power) for public, power in then)),
            app_hash,
            results_hash,
            version,
        )


@dataclass(frozen=True, slots=True)
class CommittedBlock:
    """One decided block with everything that RPC and recovery ask for later.

    `commit` is the precommits that were seen for this block; the next block carries exactly it as its last commit.
    `validators` are those of `commit`; `results` is what the application answered; `state` is the state after it.
    """

    block: Block
    block_id: BlockID
    commit: Commit
    validators: ValidatorSet
    results: ResponseFinalizeBlock
    state: ChainState


class BlockSink(Protocol):
    """The block store. `save` is durable when it returns; the engine calls it after FinalizeBlock and before Commit."""

    def save(self, committed: CommittedBlock) -> None: ...

    def last(self) -> CommittedBlock | None:
        """The newest block, exactly as saved (`results` may come back without events); None before the first."""
        ...

    def validators(self, height: int) -> ValidatorSet | None:
        """Who signs `height`; needed for the newest height and the one before."""
        ...


class TransactionSource(Protocol):
    """The mempool. `available` is set while there is something to put into a block."""

    available: asyncio.Event

    def reap(self, max_bytes: int) -> Sequence[bytes]:
        """Transactions in order, together at most this many bytes; they stay until `update`."""
        ...

    def update(self, height: int, included: Sequence[bytes]) -> None:
        """The block at `height` is committed with these transactions: drop them and check the rest again."""
        ...
