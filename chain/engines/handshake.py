"""Brings application and block store to the same height after a start, as CometBFT's handshake does."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from chain.application.abci import (
    RequestCommit,
    RequestFinalizeBlock,
    RequestInfo,
    RequestInitChain,
    RequestPrepareProposal,
    RequestProcessProposal,
    ResponseCommit,
    ResponseFinalizeBlock,
    ResponseInfo,
    ResponseInitChain,
    ResponsePrepareProposal,
    ResponseProcessProposal,
    ValidatorUpdate,
)
from chain.engines.block_rules import commit_info
from chain.engines.ports import BlockSink, ChainState, CommittedBlock
from chain.errors import Faulty
from chain.wire.cometbft import (
    NIL_BLOCK_ID,
    Block,
    Commit,
    ConsensusParams,
    Validator,
    ValidatorSet,
    last_results_hash,
)

log = logging.getLogger(__name__)


class ConsensusApplication(Protocol):
    """The part of ABCI 2.0 that consensus calls, and the beacon that chooses proposers."""

    def info(self, request: RequestInfo) -> ResponseInfo: ...
    def init_chain(self, request: RequestInitChain) -> ResponseInitChain: ...
    def prepare_proposal(self, request: RequestPrepareProposal) -> ResponsePrepareProposal: ...
    def process_proposal(self, request: RequestProcessProposal) -> ResponseProcessProposal: ...
    def finalize_block(self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock: ...
    def commit(self, request: RequestCommit) -> ResponseCommit: ...
    def beacon(self, height: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class EngineGenesis:
    """What the engine reads of the genesis document."""

    chain_id: str
    time_ns: int
    validators: tuple[ValidatorUpdate, ...]
    app_state_bytes: bytes
    params: ConsensusParams = ConsensusParams()  # noqa: RUF009  # frozen, so it may be shared


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the chain stands: the state, and the last block's commit with who signed it (None before block 1)."""

    state: ChainState
    last: tuple[Commit, ValidatorSet] | None
    proof_block_due: bool


def handshake(application: ConsensusApplication, sink: BlockSink, genesis: EngineGenesis) -> Standing:
    """Makes the application's height that of the store; raises Faulty `state_corrupt` where they contradict.

    A saved block that the application has not committed is run again; being deterministic, it must answer the same.
    """
    info = application.info(RequestInfo())
    last = sink.last()
    begun = _begin(application, genesis, info.app_version) if info.last_block_height == 0 else None
    if last is None:
        if begun is None:
            raise Faulty("state_corrupt", f"the state is at height {info.last_block_height}, but no block is stored")
        return Standing(begun, None, proof_block_due=True)
    height = last.block.header.height
    if info.last_block_height == height - 1:
        log.info("running block %d again: it was saved, but not committed", height)
        run_again(application, sink, last)
    elif info.last_block_height != height or info.last_block_app_hash != last.state.app_hash:
        raise Faulty(
            "state_corrupt",
            f"the state is {info.last_block_app_hash.hex()} at height {info.last_block_height}, "
            f"the stored block is {height} with {last.state.app_hash.hex()}",
        )
    changed = last.state.app_hash != last.block.header.app_hash
    return Standing(last.state, (last.commit, last.validators), proof_block_due=changed)


def _begin(application: ConsensusApplication, genesis: EngineGenesis, app_version: int) -> ChainState:
    answer = application.init_chain(
        RequestInitChain(genesis.time_ns, genesis.chain_id, genesis.validators, genesis.app_state_bytes)
    )
    updates = answer.validators or genesis.validators
    validators = ValidatorSet(Validator(update.public, update.power) for update in updates)
    return ChainState(
        height=0,
        block_id=NIL_BLOCK_ID,
        block_time_ns=genesis.time_ns,
        validators=validators,
        next_validators=validators,
        app_hash=answer.app_hash,
        last_results_hash=last_results_hash(()),
        app_version=app_version,
    )


def run_again(application: ConsensusApplication, sink: BlockSink, saved: CommittedBlock) -> None:
    """Executes and commits a saved block; raises Faulty when its app hash is another than before."""
    header = saved.block.header
    signed_by = sink.validators(header.height - 1)
    last = None
    if header.height > 1:
        if signed_by is None or saved.block.last_commit is None:
            raise Faulty("state_corrupt", f"the validators of height {header.height - 1} are not stored")
        last = (saved.block.last_commit, signed_by)
    answer = application.finalize_block(finalize_request(saved.block, saved.block_id.hash, last))
    if answer.app_hash != saved.state.app_hash:
        raise Faulty(
            "state_corrupt",
            f"block {header.height} gives {answer.app_hash.hex()} now and gave {saved.state.app_hash.hex()} before",
        )
    application.commit(RequestCommit())


def finalize_request(block: Block, block_hash: bytes, last: tuple[Commit, ValidatorSet] | None) -> RequestFinalizeBlock:
    header = block.header
    return RequestFinalizeBlock(
        txs=block.txs,
        decided_last_commit=commit_info(last),
        hash=block_hash,
        height=header.height,
        time_ns=header.time_ns,
        proposer_address=header.proposer_address,
        next_validators_hash=header.next_validators_hash,
    )
