"""ABCI responses in the bytes that CometBFT v0.38 reads: one `tendermint.abci.Response` each.

Source of the numbers: cometbft `proto/tendermint/abci/types.proto`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chain.application.abci import (
    Event,
    ExecTxResult,
    ProofOp,
    ResponseApplySnapshotChunk,
    ResponseCheckTx,
    ResponseCommit,
    ResponseFinalizeBlock,
    ResponseInfo,
    ResponseInitChain,
    ResponseListSnapshots,
    ResponseLoadSnapshotChunk,
    ResponseOfferSnapshot,
    ResponsePrepareProposal,
    ResponseProcessProposal,
    ResponseQuery,
    Snapshot,
    ValidatorUpdate,
)
from chain.wire.protobuf import bytes_field, integer_field, message_field, varint

# There are no vote extensions: an empty one is told, and others' are accepted.
_EXTENSION_ACCEPT = 1

FIXED: Mapping[str, bytes] = {
    "flush": message_field(3, b""),
    "extend_vote": message_field(19, b""),
    "verify_vote_extension": message_field(20, integer_field(1, _EXTENSION_ACCEPT)),
}
"""Answers that need no application, by method."""


def encode_exception(text: str) -> bytes:
    """What makes CometBFT stop: the application cannot go on."""
    return message_field(1, bytes_field(1, text.encode()))


def encode_echo(message: bytes) -> bytes:
    return message_field(2, bytes_field(1, message))


def encode_response(response: object) -> bytes:
    """Any answer of `chain.application.abci`."""
    return _WRITERS[type(response)](response)


def _info(answer: ResponseInfo) -> bytes:
    content = (
        _text(1, answer.data)
        + _text(2, answer.version)
        + integer_field(3, answer.app_version)
        + integer_field(4, answer.last_block_height)
        + bytes_field(5, answer.last_block_app_hash)
    )
    return message_field(4, content)


def _init_chain(answer: ResponseInitChain) -> bytes:
    return message_field(6, _updates(2, answer.validators) + bytes_field(3, answer.app_hash))


def _query(answer: ResponseQuery) -> bytes:
    operations = b"".join(message_field(1, _proof_op(operation)) for operation in answer.proof_ops)
    content = (
        integer_field(1, answer.code)
        + _text(3, answer.log)
        + _text(4, answer.info)
        + integer_field(5, answer.index)
        + bytes_field(6, answer.key)
        + bytes_field(7, answer.value)
        + (message_field(8, operations) if operations else b"")
        + integer_field(9, answer.height)
        + _text(10, answer.codespace)
    )
    return message_field(7, content)


def _check_tx(answer: ResponseCheckTx) -> bytes:
    return message_field(9, _result(answer))


def _commit(answer: ResponseCommit) -> bytes:
    return message_field(12, integer_field(3, answer.retain_height))


def _prepare_proposal(answer: ResponsePrepareProposal) -> bytes:
    return message_field(17, b"".join(message_field(1, tx) for tx in answer.txs))


def _process_proposal(answer: ResponseProcessProposal) -> bytes:
    return message_field(18, integer_field(1, answer.status))


def _finalize_block(answer: ResponseFinalizeBlock) -> bytes:
    content = (
        _events(1, answer.events)
        + b"".join(message_field(2, _result(result)) for result in answer.tx_results)
        + _updates(3, answer.validator_updates)
        + bytes_field(5, answer.app_hash)
    )
    return message_field(21, content)


def _list_snapshots(answer: ResponseListSnapshots) -> bytes:
    return message_field(13, b"".join(message_field(1, _snapshot(each)) for each in answer.snapshots))


def _offer_snapshot(answer: ResponseOfferSnapshot) -> bytes:
    return message_field(14, integer_field(1, answer.result))


def _load_snapshot_chunk(answer: ResponseLoadSnapshotChunk) -> bytes:
    return message_field(15, bytes_field(1, answer.chunk))


def _apply_snapshot_chunk(answer: ResponseApplySnapshotChunk) -> bytes:
    content = (
        integer_field(1, answer.result)
        + bytes_field(2, b"".join(varint(chunk) for chunk in answer.refetch_chunks))
        + b"".join(_text(3, sender) for sender in answer.reject_senders)
    )
    return message_field(16, content)


_WRITERS: Mapping[type, Callable[[Any], bytes]] = {
    ResponseInfo: _info,
    ResponseInitChain: _init_chain,
    ResponseQuery: _query,
    ResponseCheckTx: _check_tx,
    ResponseCommit: _commit,
    ResponsePrepareProposal: _prepare_proposal,
    ResponseProcessProposal: _process_proposal,
    ResponseFinalizeBlock: _finalize_block,
    ResponseListSnapshots: _list_snapshots,
    ResponseOfferSnapshot: _offer_snapshot,
    ResponseLoadSnapshotChunk: _load_snapshot_chunk,
    ResponseApplySnapshotChunk: _apply_snapshot_chunk,
}


def _snapshot(snapshot: Snapshot) -> bytes:
    return (
        integer_field(1, snapshot.height)
        + integer_field(2, snapshot.format)
        + integer_field(3, snapshot.chunks)
        + bytes_field(4, snapshot.hash)
        + bytes_field(5, snapshot.metadata)
    )


def _result(result: ExecTxResult | ResponseCheckTx) -> bytes:
    """ExecTxResult and ResponseCheckTx have the same fields."""
    return (
        integer_field(1, result.code)
        + bytes_field(2, result.data)
        + _text(3, result.log)
        + _text(4, result.info)
        + integer_field(5, result.gas_wanted)
        + integer_field(6, result.gas_used)
        + _events(7, result.events)
        + _text(8, result.codespace)
    )


def _events(number: int, events: Iterable[Event]) -> bytes:
    return b"".join(message_field(number, _event(event)) for event in events)


def _event(event: Event) -> bytes:
    attributes = (
        _text(1, attribute.key) + _text(2, attribute.value) + integer_field(3, attribute.index)
        for attribute in event.attributes
    )
    return _text(1, event.type) + b"".join(message_field(2, attribute) for attribute in attributes)


def _updates(number: int, updates: Iterable[ValidatorUpdate]) -> bytes:
    return b"".join(
        message_field(number, message_field(1, bytes_field(1, update.public)) + integer_field(2, update.power))
        for update in updates
    )


def _proof_op(operation: ProofOp) -> bytes:
    return _text(1, operation.type) + bytes_field(2, operation.key) + bytes_field(3, operation.data)


def _text(number: int, text: str) -> bytes:
    return bytes_field(number, text.encode()) if text else b""
