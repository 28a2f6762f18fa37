"""The gateway's ASGI application: its routes, its limits, its OpenAPI document at /schema/openapi.json."""

from __future__ import annotations

from typing import Final

from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders, State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import Message, Scope

from chain.gateway.account_routes import ACCOUNT_ROUTES
from chain.gateway.chain_routes import CHAIN_ROUTES
from chain.gateway.context import Gateway
from chain.gateway.rpc_route import rpc
from chain.gateway.transaction_routes import TRANSACTION_ROUTES
from chain.web.problems import HANDLERS
from chain.wire.transactions import MAX_BYTES

REQUEST_MAX_BYTES: Final = 2 * MAX_BYTES
"""A transaction of the largest size in base64 or, up to two thirds of it, in hex, with what stands around it."""

_HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def gateway_app(gateway: Gateway) -> Litestar:
    """The ASGI application that serves `gateway`."""
    return Litestar(
        route_handlers=[*CHAIN_ROUTES, *ACCOUNT_ROUTES, *TRANSACTION_ROUTES, rpc],
        state=State({"gateway": gateway}),
        request_max_body_size=REQUEST_MAX_BYTES,
        exception_handlers=HANDLERS,
        before_send=[_add_headers],
        openapi_config=OpenAPIConfig(
            title="dccn gateway",
            version="1",
            description="The chain over REST. Every answer is proven by a light client, or says that it is not.",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
        ),
        logging_config=None,
    )


async def _add_headers(message: Message, _scope: Scope) -> None:
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
