"""JSON-RPC 2.0 passed on to the node: a fixed list of methods, bounded bodies, batches and answers.

The node's answers are passed on as they are, unproven: whoever asks here checks them, as `chain.light` does.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from chain.errors import DccnError
from chain.gateway.admission.gate import Visit
from chain.light.rpc import ANSWER_MAX_BYTES, RpcClient
from chain.web.json_rpc import INTERNAL_ERROR, METHOD_NOT_FOUND, RpcError, failure, requests_of

METHODS = frozenset(
    {
        "abci_info",
        "abci_query",
        "block",
        "block_by_hash",
        "block_results",
        "blockchain",
        "broadcast_tx_sync",
        "commit",
        "consensus_params",
        "genesis",
        "header",
        "header_by_hash",
        "health",
        "num_unconfirmed_txs",
        "status",
        "tx",
        "validators",
    }
)
"""What a light client and a wallet need; not whom the node is connected with, nor what waits in its queue."""

SEND = "broadcast_tx_sync"
MAX_BATCH = 20
TIMEOUT_S = 10.0
CALLS = 8
"""Requests that are at the node at once."""


class Relay:
    """One node behind the list of methods. Belongs to one event loop."""

    def __init__(self, node: str) -> None:
        self._node = RpcClient(node, TIMEOUT_S)
        self._calls = asyncio.Semaphore(CALLS)

    async def answers(self, content: Any, visit: Visit) -> list[bytes]:
        """The JSON of each answer to a request or a batch; raises RpcError for content that is neither.

        A batch counts as so many requests; raises TurnedAway `peer_over_rate`.
        """
        encoded: list[bytes] = []
        left = ANSWER_MAX_BYTES
        requests = requests_of(content, MAX_BATCH)
        if len(requests) > 1:
            visit.charge(len(requests) - 1)
        for request in requests:
            try:
                if left <= 0:
                    raise RpcError(INTERNAL_ERROR, f"the batch's answers have more than {ANSWER_MAX_BYTES} bytes")
                answer = await self._passed_on(request, visit)
            except RpcError as error:
                answer = failure(request["id"], error)
            encoded.append(msgspec.json.encode(answer))
            left -= len(encoded[-1])
        return encoded

    def close(self) -> None:
        self._node.close()

    async def _passed_on(self, request: Mapping[str, Any], visit: Visit) -> Mapping[str, Any]:
        """The node's answer under the request's own id; raises RpcError."""
        method = request.get("method")
        if not isinstance(method, str) or method not in METHODS:
            raise RpcError(METHOD_NOT_FOUND, f"no method {str(method)[:80]!r} here")
        params = request.get("params") or {}
        try:
            if method == SEND:
                visit.check_send_bytes(_transaction(params))
            async with self._calls:
                answer = await asyncio.to_thread(self._node.exchange, method, params)
        except DccnError as error:
            raise RpcError(INTERNAL_ERROR, str(error)) from None
        if method == SEND and _is_refusal(answer.get("result")):
            visit.refused_transaction()
        outcome = "error" if answer.get("error") is not None else "result"
        return {"jsonrpc": "2.0", "id": request["id"], outcome: answer.get(outcome)}


def _transaction(params: Any) -> bytes:
    """The bytes that a call would broadcast; empty where there are none, which is no transaction."""
    text = params.get("tx") if isinstance(params, dict) else params[0] if isinstance(params, list) and params else None
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""


def _is_refusal(result: Any) -> bool:
    """Whether CheckTx gave a code."""
    return isinstance(result, dict) and result.get("code") not in (None, 0, "0")
