"""CometBFT v0.38's RPC JSON of blocks, results and answers (headers, commits, validators: `chain.wire.rpc_json`)."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from chain.application.abci import (
    Event,
    ExecTxResult,
    ResponseCheckTx,
    ResponseFinalizeBlock,
    ResponseInfo,
    ResponseQuery,
    ValidatorUpdate,
)
from chain.crypto import merkle
from chain.wire.cometbft import EMPTY_COMMIT, Block, BlockID, data_proof
from chain.wire.rpc_json import block_id_to_json, commit_to_json, header_to_json

Json = dict[str, Any]
ED25519_SUM = "tendermint.crypto.PublicKey_Ed25519"


def hexadecimal(data: bytes) -> str:
    return data.hex().upper()


def base64_or_null(data: bytes) -> str | None:
    """Go writes an absent byte slice as null."""
    return base64.b64encode(data).decode() if data else None


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def block_to_json(block: Block) -> Json:
    return {
        "header": header_to_json(block.header),
        "data": {"txs": [base64_text(tx) for tx in block.txs]},
        "evidence": {"evidence": []},
        "last_commit": commit_to_json(block.last_commit or EMPTY_COMMIT),
    }


def block_meta_to_json(block: Block, block_id: BlockID, size_bytes: int) -> Json:
    return {
        "block_id": block_id_to_json(block_id),
        "block_size": str(size_bytes),
        "header": header_to_json(block.header),
        "num_txs": str(len(block.txs)),
    }


def tx_proof_to_json(txs: tuple[bytes, ...], index: int) -> Json:
    """The path of a transaction to data_hash; the leaf is the transaction's own hash."""
    leaves = [sha256(tx).digest() for tx in txs]
    return {
        "root_hash": hexadecimal(merkle.root(leaves)),
        "data": base64_text(txs[index]),
        "proof": {
            "total": str(len(txs)),
            "index": str(index),
            "leaf_hash": base64_text(merkle.leaf_hash(leaves[index])),
            "aunts": [base64_text(aunt) for aunt in data_proof(txs, index)],
        },
    }


def result_to_json(result: ExecTxResult) -> Json:
    return {
        "code": result.code,
        "data": base64_or_null(result.data),
        "log": result.log,
        "info": result.info,
        "gas_wanted": str(result.gas_wanted),
        "gas_used": str(result.gas_used),
        "events": events_to_json(result.events),
        "codespace": result.codespace,
    }


def events_to_json(events: Iterable[Event]) -> list[Json]:
    return [
        {
            "type": event.type,
            "attributes": [{"key": each.key, "value": each.value, "index": each.index} for each in event.attributes],
        }
        for event in events
    ]


def results_to_json(height: int, results: ResponseFinalizeBlock) -> Json:
    return {
        "height": str(height),
        "txs_results": [result_to_json(each) for each in results.tx_results] or None,
        "finalize_block_events": events_to_json(results.events) or None,
        "validator_updates": [_update_to_json(each) for each in results.validator_updates] or None,
        "consensus_param_updates": None,
        "app_hash": base64_or_null(results.app_hash),
    }


def check_to_json(answer: ResponseCheckTx, tx: bytes) -> Json:
    return {
        "code": answer.code,
        "data": hexadecimal(answer.data),
        "log": answer.log,
        "codespace": answer.codespace,
        "hash": hexadecimal(sha256(tx).digest()),
    }


def query_to_json(answer: ResponseQuery) -> Json:
    ops = [{"type": op.type, "key": base64_text(op.key), "data": base64_text(op.data)} for op in answer.proof_ops]
    return {
        "response": {
            "code": answer.code,
            "log": answer.log,
            "info": answer.info,
            "index": str(answer.index),
            "key": base64_or_null(answer.key),
            "value": base64_or_null(answer.value),
            "proofOps": {"ops": ops} if ops else None,
            "height": str(answer.height),
            "codespace": answer.codespace,
        }
    }


def info_to_json(info: ResponseInfo) -> Json:
    return {
        "response": {
            "data": info.data,
            "version": info.version,
            "app_version": str(info.app_version),
            "last_block_height": str(info.last_block_height),
            "last_block_app_hash": base64_or_null(info.last_block_app_hash),
        }
    }


def _update_to_json(update: ValidatorUpdate) -> Json:
    key = {"Sum": {"type": ED25519_SUM, "value": {"ed25519": base64_text(update.public)}}}
    return {"pub_key": key, "power": str(update.power)}
