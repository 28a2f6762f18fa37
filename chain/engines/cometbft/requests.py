"""ABCI requests as CometBFT v0.38 writes them: protobuf of package `tendermint.abci`, read strictly.

Source of the numbers: cometbft `proto/tendermint/abci/types.proto`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chain.application.abci import (
    BlockIDFlag,
    CheckTxType,
    CommitInfo,
    Misbehavior,
    RequestApplySnapshotChunk,
    RequestCheckTx,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInfo,
    RequestInitChain,
    RequestListSnapshots,
    RequestLoadSnapshotChunk,
    RequestOfferSnapshot,
    RequestPrepareProposal,
    RequestProcessProposal,
    RequestQuery,
    Snapshot,
    ValidatorUpdate,
    VoteInfo,
)
from chain.errors import Malformed
from chain.wire.protobuf import Fields, read_fields, read_timestamp


@dataclass(frozen=True, slots=True)
class Echo:
    """Asked to see whether the application lives."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Unread:
    """A request whose content does not matter for its answer: flush, and what is not offered (vote extensions).

    `method` is ABCI's name.
    """

    method: str


Request = (
    Echo
    | Unread
    | RequestInfo
    | RequestInitChain
    | RequestQuery
    | RequestCheckTx
    | RequestCommit
    | RequestListSnapshots
    | RequestOfferSnapshot
    | RequestLoadSnapshotChunk
    | RequestApplySnapshotChunk
    | RequestPrepareProposal
    | RequestProcessProposal
    | RequestFinalizeBlock
)


def decode_request(data: bytes) -> Request:
    """The one request in a `tendermint.abci.Request`; raises Malformed `malformed`."""
    found = list(read_fields(data))
    if len(found) != 1:
        raise Malformed("malformed", f"an ABCI request holds one message, this one {len(found)}")
    number, content = found[0]
    reader = _READERS.get(number)
    if reader is None or not isinstance(content, bytes):
        raise Malformed("malformed", f"ABCI 2.0 has no request number {number}")
    try:
        return reader(content)
    except ValueError as error:  # an unknown enumeration value, or text that is not UTF-8
        raise Malformed("malformed", f"ABCI request number {number}: {error}") from None


def _echo(data: bytes) -> Request:
    return Echo(Fields(data).binary(1))


def _info(data: bytes) -> Request:
    fields = Fields(data)
    return RequestInfo(fields.binary(1).decode(), fields.integer(2), fields.integer(3), fields.binary(4).decode())


def _init_chain(data: bytes) -> Request:
    fields = Fields(data)
    return RequestInitChain(
        time_ns=read_timestamp(fields.binary(1)),
        chain_id=fields.binary(2).decode(),
        validators=tuple(map(_validator_update, fields.repeated(4))),
        app_state_bytes=fields.binary(5),
        initial_height=fields.integer(6),
    )


def _query(data: bytes) -> Request:
    fields = Fields(data)
    return RequestQuery(
        path=fields.binary(2).decode(), data=fields.binary(1), height=fields.integer(3), prove=bool(fields.integer(4))
    )


def _check_tx(data: bytes) -> Request:
    fields = Fields(data)
    return RequestCheckTx(fields.binary(1), CheckTxType(fields.integer(2)))


def _commit(data: bytes) -> Request:
    return RequestCommit()


def _prepare_proposal(data: bytes) -> Request:
    fields = Fields(data)
    return RequestPrepareProposal(
        max_tx_bytes=fields.integer(1),
        txs=tuple(fields.repeated(2)),
        local_last_commit=_commit_info(fields.binary(3), flag=5),
        misbehavior=tuple(map(_misbehavior, fields.repeated(4))),
        height=fields.integer(5),
        time_ns=read_timestamp(fields.binary(6)),
        next_validators_hash=fields.binary(7),
        proposer_address=fields.binary(8),
    )


def _process_proposal(data: bytes) -> Request:
    fields = Fields(data)
    return RequestProcessProposal(
        txs=tuple(fields.repeated(1)),
        proposed_last_commit=_commit_info(fields.binary(2)),
        misbehavior=tuple(map(_misbehavior, fields.repeated(3))),
        hash=fields.binary(4),
        height=fields.integer(5),
        time_ns=read_timestamp(fields.binary(6)),
        next_validators_hash=fields.binary(7),
        proposer_address=fields.binary(8),
    )


def _finalize_block(data: bytes) -> Request:
    fields = Fields(data)
    return RequestFinalizeBlock(
        txs=tuple(fields.repeated(1)),
        decided_last_commit=_commit_info(fields.binary(2)),
        misbehavior=tuple(map(_misbehavior, fields.repeated(3))),
        hash=fields.binary(4),
        height=fields.integer(5),
        time_ns=read_timestamp(fields.binary(6)),
        next_validators_hash=fields.binary(7),
        proposer_address=fields.binary(8),
    )


def _list_snapshots(data: bytes) -> Request:
    return RequestListSnapshots()


def _offer_snapshot(data: bytes) -> Request:
    fields = Fields(data)
    snapshot = Fields(fields.binary(1))
    return RequestOfferSnapshot(
        Snapshot(
            height=snapshot.integer(1),
            format=snapshot.integer(2),
            chunks=snapshot.integer(3),
            hash=snapshot.binary(4),
            metadata=snapshot.binary(5),
        ),
        app_hash=fields.binary(2),
    )


def _load_snapshot_chunk(data: bytes) -> Request:
    fields = Fields(data)
    return RequestLoadSnapshotChunk(fields.integer(1), fields.integer(2), fields.integer(3))


def _apply_snapshot_chunk(data: bytes) -> Request:
    fields = Fields(data)
    return RequestApplySnapshotChunk(fields.integer(1), fields.binary(2), fields.binary(3).decode())


def _unread(method: str) -> Callable[[bytes], Request]:
    return lambda data: Unread(method)


_READERS: Mapping[int, Callable[[bytes], Request]] = {
    1: _echo,
    2: _unread("flush"),
    3: _info,
    5: _init_chain,
    6: _query,
    8: _check_tx,
    11: _commit,
    12: _list_snapshots,
    13: _offer_snapshot,
    14: _load_snapshot_chunk,
    15: _apply_snapshot_chunk,
    16: _prepare_proposal,
    17: _process_proposal,
    18: _unread("extend_vote"),
    19: _unread("verify_vote_extension"),
    20: _finalize_block,
}


def _validator_update(data: bytes) -> ValidatorUpdate:
    fields = Fields(data)
    return ValidatorUpdate(Fields(fields.binary(1)).binary(1), fields.integer(2))


def _commit_info(data: bytes, flag: int = 3) -> CommitInfo:
    """CommitInfo, or ExtendedCommitInfo, whose votes have their flag in field 5."""
    fields = Fields(data)
    return CommitInfo(fields.integer(1), tuple(_vote(vote, flag) for vote in fields.repeated(2)))


def _vote(data: bytes, flag: int) -> VoteInfo:
    fields = Fields(data)
    validator = Fields(fields.binary(1))
    return VoteInfo(validator.binary(1), validator.integer(3), BlockIDFlag(fields.integer(flag)))


def _misbehavior(data: bytes) -> Misbehavior:
    fields = Fields(data)
    validator = Fields(fields.binary(2))
    return Misbehavior(
        type=fields.integer(1),
        validator_address=validator.binary(1),
        validator_power=validator.integer(3),
        height=fields.integer(3),
        time_ns=read_timestamp(fields.binary(4)),
        total_voting_power=fields.integer(5),
    )
