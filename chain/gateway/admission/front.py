"""The gate as ASGI: stands before every request, also those for which there is no route."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar.types import ASGIApp, Message, Receive, Send

from chain.errors import DccnError
from chain.gateway.admission.gate import Gate, Visit
from chain.gateway.admission.peer import peer_of
from chain.web.problems import MEDIA_TYPE, on_dccn_error

VISIT: Final = "dccn.visit"
"""Where a request finds its visit: among the scope's extensions."""


class Front:
    """An application behind a gate."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            visit = await self._gate.enter(peer_of(scope))
        except DccnError as error:
            await _refuse(error, send)
            return
        scope["extensions"] = {**scope.get("extensions", {}), VISIT: visit}
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            visit.leave(status)


def visit_of(scope: Any) -> Visit:
    """The visit of a request that came through a front."""
    visit = scope["extensions"][VISIT]
    assert isinstance(visit, Visit)
    return visit


async def _refuse(error: DccnError, send: Send) -> None:
    answer = on_dccn_error(None, error)
    headers = {**answer.headers, "Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status_code or 500, "headers": encoded})
    await send({"type": "http.response.body", "body": msgspec.json.encode(answer.content), "more_body": False})
