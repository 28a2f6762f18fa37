"""The route for ordinary CometBFT clients: JSON-RPC to the node, through the relay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT, HTTP_400_BAD_REQUEST

from chain.gateway.admission.front import visit_of
from chain.gateway.context import AnyRequest, gateway_of, problems
from chain.gateway.relay import MAX_BATCH, METHODS
from chain.web.json_rpc import PARSE_ERROR, RpcError, failure

JSON = "application/json"


class RpcFailure(msgspec.Struct, frozen=True):
    """A body that is neither a request nor a batch."""

    jsonrpc: str
    error: dict[str, str | int]


_REQUEST = Schema(
    type=OpenAPIType.OBJECT,
    required=["id", "method"],
    properties={
        "jsonrpc": Schema(type=OpenAPIType.STRING),
        "id": Schema(type=[OpenAPIType.STRING, OpenAPIType.NUMBER]),
        "method": Schema(enum=sorted(METHODS)),
        "params": Schema(type=[OpenAPIType.OBJECT, OpenAPIType.ARRAY]),
    },
)
_BATCH = Schema(type=OpenAPIType.ARRAY, items=_REQUEST, max_items=MAX_BATCH)


@dataclass
class RpcOperation(Operation):
    """The body is read by the relay, so that what is wrong with it is told in JSON-RPC's words."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody({JSON: OpenAPIMediaType(schema=Schema(one_of=[_REQUEST, _BATCH]))})


_INSTEAD = {
    204: ResponseSpec(None, generate_examples=False, description="Nothing but notifications."),
    400: ResponseSpec(RpcFailure, generate_examples=False, description="No JSON-RPC request.", media_type=JSON),
    413: problems(413)[413],
}


@post(
    "/rpc",
    status_code=HTTP_200_OK,
    tags=["JSON-RPC"],
    summary="The node's own answers, unproven",
    media_type=JSON,
    responses=_INSTEAD,
    operation_class=RpcOperation,
)
async def rpc(request: AnyRequest) -> Response[Any]:
    """JSON-RPC 2.0, single or a batch, for a light client that proves what it gets: `dccn query … --rpc URL/rpc`."""
    try:
        answers = await gateway_of(request).relay.answers(
            msgspec.json.decode(await request.body()), visit_of(request.scope)
        )
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        return _unread(RpcError(PARSE_ERROR, str(error)))
    except RpcError as error:
        return _unread(error)
    if not answers:
        return Response(None, status_code=HTTP_204_NO_CONTENT)
    # As CometBFT does, a single answer stands without its array.
    body = answers[0] if len(answers) == 1 else b"[" + b",".join(answers) + b"]"
    return Response(body, status_code=HTTP_200_OK, media_type=JSON)


def _unread(error: RpcError) -> Response[bytes]:
    return Response(msgspec.json.encode(failure(None, error)), status_code=HTTP_400_BAD_REQUEST, media_type=JSON)
