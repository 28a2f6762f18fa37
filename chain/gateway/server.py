"""`dccn gateway run`: the application on a socket, from start to signal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TextIO

import uvicorn

from chain.gateway.admission.front import Front
from chain.gateway.admission.gate import Gate
from chain.gateway.application import gateway_app
from chain.gateway.chain import Chain
from chain.gateway.context import Gateway
from chain.gateway.index import Index
from chain.gateway.protocol import GatewayProtocol
from chain.gateway.relay import Relay
from chain.gateway.settings import Settings
from chain.web.listening import bind, url_of
from chain.web.server import WebServer

GRACE_S: Final = 3
KEEP_ALIVE_S: Final = 30
MAX_CONNECTIONS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Ready:
    """Where the gateway is, once it is; `tls_url` is None without a TLS listener."""

    url: str
    tls_url: str | None


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises DccnError when it cannot start."""
    asyncio.run(serve(settings, on_ready=lambda ready: _announce(ready, settings, sys.stdout)))


async def serve(settings: Settings, *, on_ready: Callable[[Ready], None], stop: asyncio.Event | None = None) -> None:
    """The whole gateway in the running event loop, until `stop` is set or a signal comes.

    It starts without its node, whose absence is each answer's to tell. Raises Faulty `port_occupied`, `home_invalid`.
    """
    stop = stop or asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, NotImplementedError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with contextlib.ExitStack() as rim:
        app = application(settings, rim)
        plain = rim.enter_context(bind(settings.listen, settings.port, may_move=False))
        listeners = [(web_server(app, None), plain)]
        tls_url = None
        if settings.tls is not None:
            secure = rim.enter_context(bind(settings.tls.listen, settings.tls.port, may_move=False))
            listeners.append((web_server(app, settings.tls.files.context()), secure))
            tls_url = url_of(secure, "https")
        await _serve(listeners, stop, lambda: on_ready(Ready(url_of(plain), tls_url)))


def application(settings: Settings, rim: contextlib.ExitStack) -> Front:
    """The gateway behind its gate; `rim` closes what it holds. Raises Faulty `home_invalid` for unreadable lists."""
    chain = Chain(settings.node, settings.trust, settings.home / "trust")
    rim.callback(chain.close)
    relay = Relay(settings.node)
    rim.callback(relay.close)
    index = None if settings.index is None else Index(settings.index)
    if index is not None:
        rim.callback(index.close)
    return Front(gateway_app(Gateway(chain, relay, index)), Gate(chain, settings.home, settings.policy))


async def _serve(
    listeners: list[tuple[WebServer, socket.socket]], stop: asyncio.Event, when_up: Callable[[], None]
) -> None:
    """All servers, until `stop` or the end of one of them."""
    serving: list[asyncio.Future[Any]]
    serving = [asyncio.create_task(server.serve(sockets=[bound])) for server, bound in listeners]
    up: asyncio.Future[Any] = asyncio.gather(*(server.up.wait() for server, _ in listeners))
    stopped: asyncio.Future[Any] = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([up, stopped, *serving], return_when=asyncio.FIRST_COMPLETED)
        if up.done():
            when_up()
        await asyncio.wait([stopped, *serving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        up.cancel()
        stopped.cancel()
        for server, _ in listeners:
            server.stop()
        await asyncio.gather(*serving)


def web_server(app: Front, context: ssl.SSLContext | None) -> WebServer:
    """One listener's server, with TLS if a context is given."""
    return WebServer(
        uvicorn.Config(
            app,
            http=GatewayProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            ssl_context_factory=None if context is None else lambda _config, _default: context,
        )
    )


def _announce(ready: Ready, settings: Settings, out: TextIO) -> None:
    if settings.json:
        print(json.dumps({"event": "ready", "url": ready.url, "tls_url": ready.tls_url}), file=out, flush=True)
        return
    print(f"The chain behind {settings.node}: {ready.url}, described at {ready.url}/schema/openapi.json", file=out)
    if ready.tls_url is not None:
        print(f"For peers with client certificates: {ready.tls_url}", file=out)
    print("Stop it with Ctrl-C.", file=out, flush=True)
