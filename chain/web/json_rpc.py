"""JSON-RPC 2.0 as CometBFT v0.38 speaks it: what a request is, what an answer is, and the numbers of its errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
TITLES = {
    PARSE_ERROR: "Parse error. Invalid JSON",
    INVALID_REQUEST: "Invalid Request",
    METHOD_NOT_FOUND: "Method not found",
    INVALID_PARAMS: "Invalid params",
    INTERNAL_ERROR: "Internal error",
}


class RpcError(Exception):
    """An answer with an error number; `data` says what was wrong."""

    def __init__(self, code: int, data: str) -> None:
        super().__init__(data)
        self.code, self.data = code, data


def requests_of(content: Any, max_batch: int) -> list[Mapping[str, Any]]:
    """The requests of a body, one or a batch, without notifications; raises RpcError if any of it is none."""
    requests: list[Any] = content if isinstance(content, list) else [content]
    if len(requests) > max_batch:
        raise RpcError(INVALID_REQUEST, f"a batch has at most {max_batch} requests, not {len(requests)}")
    for request in requests:
        if not isinstance(request, dict):
            raise RpcError(PARSE_ERROR, "a request is an object")
        if isinstance(request.get("id"), (bool, list, dict)):
            raise RpcError(PARSE_ERROR, "id is a number or a string")
    return [request for request in requests if request.get("id") is not None]


def success(identifier: object, result: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": identifier, "result": result}


def failure(identifier: object, error: RpcError) -> dict[str, object]:
    """Without an id when the request had none that could be read."""
    described = {"code": error.code, "message": TITLES[error.code], "data": error.data}
    return {"jsonrpc": "2.0", **({} if identifier is None else {"id": identifier}), "error": described}
