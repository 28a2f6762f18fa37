"""CometBFT's RPC as a client needs it, over JSON-RPC: answers are read here, and believed by nobody yet."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import urllib3

from chain import outward
from chain.errors import Malformed, Refused, Unavailable
from chain.wire.cometbft import Header, SignedHeader, Validator, ValidatorSet
from chain.wire.rpc_json import header_from_json, signed_header_from_json, validator_from_json

ANSWER_MAX_BYTES = 32 * 1024 * 1024
"""The largest block, 22 MB, in base64."""

PROBLEM_TYPE = "application/problem+json"
"""How a gateway says that it does not pass something on."""

SEEN_ALREADY = "tx already exists in cache"
"""How CometBFT's mempool says that it has these bytes."""

PRUNED = "lowest height is"
"""How CometBFT says that it keeps the block no more."""

RawEvent = tuple[str, tuple[tuple[str, str], ...]]
"""The type of an event and its attributes, as the node tells them."""

PAGE_VALIDATORS = 100
PAGES_MAX = 100


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node says of itself: unproven."""

    chain_id: str
    height: int
    app_hash: bytes
    catching_up: bool


@dataclass(frozen=True, slots=True)
class RawBlock:
    """A block's header and transactions as they came."""

    header: Header
    txs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """`value` is None when the key has none; `proof_ops` are (type, key, data) from leaf to root."""

    code: int
    log: str
    height: int
    key: bytes
    value: bytes | None
    proof_ops: tuple[tuple[str, bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class BroadcastAnswer:
    """CheckTx's result; code 0 says that the transaction waits for a block."""

    code: int
    log: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class TxAnswer:
    """A transaction in its block with the path to the block's data_hash; `code` and `log` are unproven."""

    height: int
    index: int
    code: int
    log: str
    tx: bytes
    total: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TxOutcome:
    """What became of one transaction. `log` and `events` (type, attributes) are the node's word; the rest is hashed."""

    code: int
    data: bytes
    log: str
    gas_wanted: int
    gas_used: int
    events: tuple[RawEvent, ...]


@dataclass(frozen=True, slots=True)
class BlockResults:
    """The outcomes of a block's transactions in order, and what happened in the block beside them."""

    height: int
    outcomes: tuple[TxOutcome, ...]
    events: tuple[RawEvent, ...]


class RpcClient:
    """One node. Unavailable `unreachable` when it does not answer, or answers that it cannot (no such block yet)."""

    def __init__(self, url: str, timeout_s: float = 5.0, tls: ssl.SSLContext | None = None) -> None:
        """`tls` is for a gateway over https: whose server certificates count, and the client certificate to show."""
        self.url = url.rstrip("/") + "/"
        patience = urllib3.Timeout(total=timeout_s)
        self._pool = outward.pool(url, num_pools=1, maxsize=1, retries=False, timeout=patience, ssl_context=tls)

    def status(self) -> NodeStatus:
        result = self.call("status")
        sync = _object(result.get("sync_info"), "sync_info")
        node = _object(result.get("node_info"), "node_info")
        return NodeStatus(
            chain_id=str(node.get("network", "")),
            height=_integer(sync.get("latest_block_height")),
            app_hash=_hex(sync.get("latest_app_hash")),
            catching_up=bool(sync.get("catching_up")),
        )

    def signed_header(self, height: int | None = None) -> SignedHeader:
        """The header of `height`, or the newest, with the commit that decided it."""
        return signed_header_from_json(self.call("commit", height=_height(height)).get("signed_header"))

    def commit(self, height: int | None = None) -> SignedHeader:
        """Another name for `signed_header`, after the route."""
        return self.signed_header(height)

    def validators(self, height: int | None = None) -> ValidatorSet:
        """The whole set of that height, page by page."""
        found: list[Validator] = []
        for page in range(1, PAGES_MAX + 1):
            result = self.call("validators", height=_height(height), page=str(page), per_page=str(PAGE_VALIDATORS))
            found += [validator_from_json(item) for item in _array(result.get("validators"), "validators")]
            if len(found) >= _integer(result.get("total")) or not result["validators"]:
                return ValidatorSet(found)
        raise Malformed("too_large", f"{self.url} names more than {PAGES_MAX * PAGE_VALIDATORS} validators")

    def block(self, height: int | None = None) -> RawBlock:
        block = _object(self.call("block", height=_height(height)).get("block"), "block")
        data = _object(block.get("data"), "data")
        txs = tuple(_base64(tx) for tx in _array(data.get("txs") or [], "txs"))
        return RawBlock(header_from_json(block.get("header")), txs)

    def block_results(self, height: int) -> BlockResults:
        result = self.call("block_results", height=str(height))
        return BlockResults(
            height=_integer(result.get("height")),
            outcomes=tuple(_outcome(item) for item in _array(result.get("txs_results") or [], "txs_results")),
            events=_events(result.get("finalize_block_events")),
        )

    def abci_query(self, path: str, data: bytes, height: int = 0, prove: bool = True) -> QueryAnswer:
        """Height 0 is the newest whose proof can be checked already."""
        result = self.call("abci_query", path=path, data=data.hex(), height=str(height), prove=prove)
        response = _object(result.get("response"), "response")
        operations = _object(response.get("proofOps") or {}, "proofOps").get("ops") or []
        value = response.get("value")
        return QueryAnswer(
            code=_integer(response.get("code", 0)),
            log=str(response.get("log", "")),
            height=_integer(response.get("height", 0)),
            key=_base64(response.get("key")),
            value=_base64(value) if value else None,
            proof_ops=tuple(_operation(item) for item in _array(operations, "ops")),
        )

    def broadcast_tx_sync(self, tx: bytes) -> BroadcastAnswer:
        """CheckTx's verdict. Refused `tx_duplicate` when the node has seen these very bytes lately."""
        try:
            result = self.call("broadcast_tx_sync", tx=base64.b64encode(tx).decode())
        except Unavailable as error:
            if SEEN_ALREADY in error.message:
                raise Refused("tx_duplicate", f"{self.url}: {SEEN_ALREADY}") from None
            raise
        return BroadcastAnswer(_integer(result.get("code", 0)), str(result.get("log", "")), _hex(result.get("hash")))

    def tx(self, tx_hash: bytes) -> TxAnswer | None:
        """The transaction with its proof; None while no block holds it."""
        try:
            result = self.call("tx", hash=base64.b64encode(tx_hash).decode(), prove=True)
        except Unavailable as error:
            if ") not found" in error.message:
                return None
            raise
        outcome = _object(result.get("tx_result"), "tx_result")
        proof = _object(_object(result.get("proof"), "proof").get("proof"), "proof.proof")
        return TxAnswer(
            height=_integer(result.get("height")),
            index=_integer(proof.get("index", 0)),
            code=_integer(outcome.get("code", 0)),
            log=str(outcome.get("log", "")),
            tx=_base64(result.get("tx")),
            total=_integer(proof.get("total")),
            path=tuple(_base64(aunt) for aunt in _array(proof.get("aunts") or [], "aunts")),
        )

    def call(self, method: str, **params: object) -> Mapping[str, Any]:
        """The result of one JSON-RPC call; params that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        answer = self.exchange(method, given)
        error = answer.get("error")
        if error is not None:
            message = (
                " ".join(str(error.get(name, "")) for name in ("message", "data")) if isinstance(error, dict) else ""
            )
            raise Unavailable("unreachable", f"{self.url} answers {method} with: {(message or str(error))[:500]}")
        return _object(answer.get("result"), f"the result of {method}")

    def exchange(self, method: str, params: object) -> Mapping[str, Any]:
        """The whole answer to one JSON-RPC call, with `result` or `error`, as the node gave it."""
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        return self._post(method, request)

    def close(self) -> None:
        self._pool.clear()

    def _post(self, method: str, request: bytes) -> Mapping[str, Any]:
        headers = {"Content-Type": "application/json"}
        try:
            response = self._pool.request(
                "POST", self.url, body=request, headers=headers, preload_content=False, redirect=False
            )
            try:
                body = response.read(ANSWER_MAX_BYTES + 1)
            finally:
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable("unreachable", f"{self.url} does not answer {method}: {error}") from None
        if len(body) > ANSWER_MAX_BYTES:
            raise Malformed("too_large", f"{self.url} answers {method} with more than {ANSWER_MAX_BYTES} bytes")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            status = response.status
            raise Unavailable("unreachable", f"{self.url} answers {method} with HTTP {status}, not JSON") from None
        if response.headers.get("Content-Type") == PROBLEM_TYPE and isinstance(answer, dict):
            said = f"{answer.get('code', '')}: {answer.get('detail', '')}"[:500]
            raise Unavailable("unreachable", f"{self.url} refuses {method} with HTTP {response.status}, {said}")
        return _object(answer, f"the answer to {method}")


def _height(height: int | None) -> str | None:
    return None if height is None else str(height)


def _operation(item: object) -> tuple[str, bytes, bytes]:
    fields = _object(item, "ops")
    return str(fields.get("type", "")), _base64(fields.get("key")), _base64(fields.get("data"))


def _outcome(item: object) -> TxOutcome:
    fields = _object(item, "txs_results")
    return TxOutcome(
        code=_integer(fields.get("code", 0)),
        data=_base64(fields.get("data")),
        log=str(fields.get("log", "")),
        gas_wanted=_integer(fields.get("gas_wanted", 0)),
        gas_used=_integer(fields.get("gas_used", 0)),
        events=_events(fields.get("events")),
    )


def _events(value: object) -> tuple[RawEvent, ...]:
    events = []
    for item in _array(value or [], "events"):
        event = _object(item, "events")
        attributes = [_object(each, "attributes") for each in _array(event.get("attributes") or [], "attributes")]
        pairs = tuple((str(each.get("key", "")), str(each.get("value", ""))) for each in attributes)
        events.append((str(event.get("type", "")), pairs))
    return tuple(events)


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        _refuse(f"{name} is not a JSON object")
    return value


def _array(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        _refuse(f"{name} is not a JSON array")
    return value


def _integer(value: object) -> int:
    """CometBFT writes 64-bit integers as strings and small ones as numbers."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        _refuse(f"{value!r} is not an integer")
    try:
        return int(value)
    except ValueError:
        _refuse(f"{value[:40]!r} is not an integer" if isinstance(value, str) else "not an integer")


def _hex(value: object) -> bytes:
    try:
        return bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        _refuse("a hash is not hexadecimal")


def _base64(value: object) -> bytes:
    if value is None:
        return b""
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else _refuse("bytes are not base64")
    except ValueError:
        _refuse("bytes are not base64")


def _refuse(why: str) -> NoReturn:
    raise Malformed("malformed", f"the node's answer: {why}")
