"""What a header must say: CometBFT v0.38's rules for making and checking blocks and for the state after them.

Source: cometbft `state/{state,validation,execution}.go`, `types/time/time.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chain.application.abci import BlockIDFlag, CommitInfo, ResponseFinalizeBlock, ValidatorUpdate, VoteInfo
from chain.engines.ports import ChainState
from chain.errors import Faulty, Refused
from chain.wire.cometbft import (
    ABSENT,
    EMPTY_COMMIT,
    FLAG_ABSENT,
    Block,
    BlockID,
    Commit,
    ConsensusParams,
    Header,
    Validator,
    ValidatorSet,
    Vote,
    data_hash,
    last_results_hash,
)

# What a block needs beside transactions: framing and header, and per validator one CommitSig with its framing.
FIXED_OVERHEAD_BYTES = 2_048
COMMIT_SIG_BYTES = 128


def median_time_ns(commit: Commit, validators: ValidatorSet) -> int:
    """BFT time: the median of the commit's vote times, weighted by power; with > 2/3 honest it lies between theirs.

    As in CometBFT the half is an integer: with seats of one unit, one liar of three voters could be the median.
    """
    times = []
    for signature in commit.signatures:
        validator = validators.by_address(signature.validator_address) if signature.flag != FLAG_ABSENT else None
        if validator is not None:
            times.append((signature.timestamp_ns, validator.power))
    left = sum(power for _, power in times) // 2
    for time_ns, power in sorted(times):
        if left <= power:
            return time_ns
        left -= power
    raise Faulty("block_invalid", f"the commit of height {commit.height} has no vote with a time")


def make_block(
    chain_id: str,
    state: ChainState,
    last: tuple[Commit, ValidatorSet] | None,
    txs: Iterable[bytes],
    proposer: bytes,
    params: ConsensusParams,
) -> Block:
    """The block that `proposer` makes on `state`; `last` is the last block's commit and who signed it."""
    txs = tuple(txs)
    last_commit = last[0] if last else EMPTY_COMMIT
    header = Header(
        version_app=state.app_version,
        chain_id=chain_id,
        height=state.height + 1,
        time_ns=next_time_ns(state, last),
        last_block_id=state.block_id,
        last_commit_hash=last_commit.hash(),
        data_hash=data_hash(txs),
        validators_hash=state.validators.hash(),
        next_validators_hash=state.next_validators.hash(),
        consensus_hash=params.hash(),
        app_hash=state.app_hash,
        last_results_hash=state.last_results_hash,
        proposer_address=proposer,
    )
    return Block(header, txs, last_commit)


def next_time_ns(state: ChainState, last: tuple[Commit, ValidatorSet] | None) -> int:
    """The next header's time: the genesis time at first, then BFT time."""
    return median_time_ns(*last) if last else state.block_time_ns


def check_block(
    block: Block,
    chain_id: str,
    state: ChainState,
    last: tuple[Commit, ValidatorSet] | None,
    params: ConsensusParams,
) -> None:
    """Raises Refused `block_invalid` unless the block is what its proposer, a validator, had to make of its txs."""
    header = block.header
    if state.validators.by_address(header.proposer_address) is None:
        raise Refused("block_invalid", f"proposer {header.proposer_address.hex()} is no validator")
    expected = make_block(chain_id, state, last, block.txs, header.proposer_address, params)
    if block != expected:
        raise Refused("block_invalid", f"block {header.height} is {block.header}, expected {expected.header}")
    if last and header.time_ns <= state.block_time_ns:
        raise Refused("block_invalid", f"block time {header.time_ns} is not after {state.block_time_ns}")


def max_tx_bytes(params: ConsensusParams, validators: int) -> int:
    """How many bytes of framed transactions fit into a block."""
    return params.max_bytes - FIXED_OVERHEAD_BYTES - COMMIT_SIG_BYTES * validators


def make_commit(
    height: int, round_: int, block_id: BlockID, validators: ValidatorSet, precommits: dict[bytes, Vote]
) -> Commit:
    """The commit of the precommits of one round, by validator address, in the set's order."""
    return Commit(
        height,
        round_,
        block_id,
        tuple(precommits[v.address].commit_sig() if v.address in precommits else ABSENT for v in validators),
    )


def commit_info(last: tuple[Commit, ValidatorSet] | None) -> CommitInfo:
    """A commit as the application sees it."""
    if last is None:
        return CommitInfo()
    commit, validators = last
    votes = (
        VoteInfo(validator.address, validator.power, BlockIDFlag(signature.flag))
        for validator, signature in zip(validators, commit.signatures, strict=True)
    )
    return CommitInfo(commit.round, tuple(votes))


def state_after(state: ChainState, block: Block, block_id: BlockID, results: ResponseFinalizeBlock) -> ChainState:
    """The state after a block: its validator updates are in force from height + 2."""
    if len(results.tx_results) != len(block.txs):
        raise Faulty("state_corrupt", f"{len(results.tx_results)} results for {len(block.txs)} transactions")
    return ChainState(
        height=block.header.height,
        block_id=block_id,
        block_time_ns=block.header.time_ns,
        validators=state.next_validators,
        next_validators=updated(state.next_validators, results.validator_updates),
        app_hash=results.app_hash,
        last_results_hash=last_results_hash(results.tx_results),
        app_version=state.app_version,
    )


def updated(validators: ValidatorSet, updates: Sequence[ValidatorUpdate]) -> ValidatorSet:
    """The set with keys added, changed, or (power 0) removed; raises Faulty when nobody would be left."""
    if not updates:
        return validators
    powers = {validator.public: validator.power for validator in validators}
    powers.update({update.public: update.power for update in updates})
    left = [Validator(public, power) for public, power in powers.items() if power > 0]
    if not left:
        raise Faulty("state_corrupt", "the application removed the last validator")
    return ValidatorSet(left)
