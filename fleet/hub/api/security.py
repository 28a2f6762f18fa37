"""Headers that every answer carries, and the check that keeps other sites' scripts away from a loopback server."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response
from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

from chain.web.problems import problem

HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


async def add_headers(message: Message, _scope: Scope) -> None:
    """Before each message is sent; errors of the framework itself are covered too."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)


def only_loopback_names(request: Request[Any, Any, Any]) -> Response[Any] | None:
    """Before each request to the page: a name that resolves here by a stranger's DNS is not ours (DNS rebinding)."""
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() in _LOOPBACK:
        return None
    return problem(
        "not_found", f"this page answers on localhost and 127.0.0.1, not on {host[:80]!r}; use a tunnel", 421
    )
