"""What the handlers of the gateway work with, and what they all read from a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from chain.errors import Malformed
from chain.gateway.chain import Chain
from chain.gateway.index import Index
from chain.gateway.relay import Relay
from chain.gateway.schema import Problem
from chain.web.problems import MEDIA_TYPE

AnyRequest = Request[Any, Any, State]

MAX_HEIGHT = 2**53 - 1
"""What JSON numbers hold exactly in every language."""

AddressPath = Annotated[
    str,
    Parameter(
        pattern="^(ankr1[02-9ac-hj-np-z]{38}|ANKR1[02-9AC-HJ-NP-Z]{38})$",
        description="An account, ankr1… with its checksum.",
    ),
]
HashPath = Annotated[str, Parameter(pattern="^[0-9a-fA-F]{64}$", description="32 bytes in hex.")]
HeightPath = Annotated[int, Parameter(ge=1, le=MAX_HEIGHT, description="A height of the chain, from 1.")]


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway, as a request sees it; `index` is None where none is configured."""

    chain: Chain
    relay: Relay
    index: Index | None


def gateway_of(request: AnyRequest) -> Gateway:
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)
    return gateway


def hash_bytes(text: str) -> bytes:
    """The bytes of a `HashPath`; raises `malformed`."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Malformed("malformed", f"{text[:80]!r} is not hexadecimal") from None


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """What a route may answer instead, for its OpenAPI document: those, and what every route may."""
    told = {
        400: "The request cannot be read, or the chain refuses it.",
        403: "This peer may not do that here.",
        404: "The chain has no such thing.",
        413: "The request is too large.",
        429: "Too much of it lately.",
        501: "Not configured here.",
        502: "The node's answer is not proven.",
        503: "The node does not answer, or too many ask.",
    }
    return {
        status: ResponseSpec(Problem, generate_examples=False, description=told[status], media_type=MEDIA_TYPE)
        for status in sorted({400, 403, 429, 502, 503, *statuses})
    }
