"""CometBFT v0.38's RPC over HTTP: every route by GET with URI parameters, and by JSON-RPC 2.0 on POST /.

Answers have CometBFT's shapes, status codes and error numbers, so that ordinary CometBFT clients work. A request can
never do more than be refused: bodies, batches and connections are bounded, and no exception leaves without a code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK, HTTP_500_INTERNAL_SERVER_ERROR

from chain.errors import DccnError, Malformed
from chain.node.rpc_params import Parameter, Value, from_json, from_uri
from chain.web.json_rpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
    failure,
    requests_of,
    success,
)

URI_ID = -1
MAX_BATCH = 100
JSON = "application/json"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """One RPC method: its parameters in CometBFT's order, and the function that they are passed to by name."""

    call: Callable[..., Any]
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """CometBFT's `max_open_connections` and `max_body_bytes`."""

    connections: int = 900
    body_bytes: int = 1_000_000


def rpc_application(routes: Mapping[str, Route], limits: RpcLimits) -> Litestar:
    """The ASGI application that serves `routes`."""

    @get("/", sync_to_thread=False)
    def index() -> Response[bytes]:
        return _answer({"routes": {name: [each.name for each in route.parameters] for name, route in routes.items()}})

    @get("/{name:str}", sync_to_thread=False)
    def by_uri(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
        route = routes.get(name)
        if route is None:
            return _answer(failure(URI_ID, RpcError(METHOD_NOT_FOUND, f"no method {name[:80]!r}")), 404)
        try:
            return _answer(success(URI_ID, _call(route, lambda: from_uri(route.parameters, request.query_params))))
        except RpcError as error:
            return _answer(failure(URI_ID, error), HTTP_500_INTERNAL_SERVER_ERROR)

    @post("/", status_code=HTTP_200_OK)
    async def by_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            answers = _answers(routes, msgspec.json.decode(await request.body()))
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            return _answer(failure(None, RpcError(PARSE_ERROR, str(error))), HTTP_500_INTERNAL_SERVER_ERROR)
        except RpcError as error:
            return _answer(failure(None, error), HTTP_500_INTERNAL_SERVER_ERROR)
        # As CometBFT does: nothing for notifications alone, and a single answer stands without its array.
        return _answer(answers if len(answers) > 1 else answers[0] if answers else None)

    return Litestar(
        [index, by_uri, by_json],
        openapi_config=None,
        request_max_body_size=limits.body_bytes,
        exception_handlers={HTTPException: _on_http_error, Exception: _on_exception},
        logging_config=None,
    )


def _answers(routes: Mapping[str, Route], content: Any) -> list[object]:
    """The answers to one JSON-RPC request or a batch; raises RpcError if any of it is none."""
    return [_respond(routes, request) for request in requests_of(content, MAX_BATCH)]


def _respond(routes: Mapping[str, Route], request: Mapping[str, Any]) -> object:
    name = request.get("method")
    route = routes.get(name) if isinstance(name, str) else None
    try:
        if route is None:
            raise RpcError(METHOD_NOT_FOUND, f"no method {str(name)[:80]!r}")
        return success(request["id"], _call(route, lambda: from_json(route.parameters, request.get("params"))))
    except RpcError as error:
        return failure(request["id"], error)


def _call(route: Route, values: Callable[[], Mapping[str, Value]]) -> object:
    try:
        arguments = values()
    except Malformed as error:
        raise RpcError(INVALID_PARAMS, error.message) from None
    try:
        return route.call(**arguments)
    except DccnError as error:
        raise RpcError(INTERNAL_ERROR, str(error)) from None


def _answer(content: object, status: int = HTTP_200_OK) -> Response[bytes]:
    body = b"" if content is None else msgspec.json.encode(content)
    return Response(body, status_code=status, media_type=JSON)


def _on_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Wrong path, wrong verb, a body over the limit: a JSON-RPC error with HTTP's own status."""
    return _answer(failure(None, RpcError(INVALID_REQUEST, error.detail)), error.status_code)


def _on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("RPC %s failed", request.url.path, exc_info=error)
    return _answer(failure(None, RpcError(INTERNAL_ERROR, type(error).__name__)), HTTP_500_INTERNAL_SERVER_ERROR)
