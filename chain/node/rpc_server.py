"""RPC over HTTP inside the node's own event loop: a socket that is bound early, and uvicorn on it."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import uvicorn
from litestar import Litestar

from chain import files
from chain.errors import Faulty
from chain.node.rpc import RpcLimits
from chain.web.listening import bind
from chain.web.server import WebServer

BACKLOG = 512
KEEP_ALIVE_S = 30
STOP_GRACE_S = 3


def bind_again(host: str, port: int, memory: Path) -> socket.socket:
    """Like `bind` with `may_move`, but a port that was moved to is kept: `memory` is a file that holds it.

    Whoever was told the address the last time asks there again.
    """
    remembered = _remembered(memory)
    bound = bind(host, remembered or port, may_move=True)
    chosen = int(bound.getsockname()[1])
    if chosen != (remembered or port):
        _remember(memory, chosen)
    return bound


class RpcServer(WebServer):
    """The node's RPC behind its limits."""

    def __init__(self, application: Litestar, limits: RpcLimits) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                # uvicorn turns away the connection that reaches its limit.
                limit_concurrency=limits.connections + 1,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_GRACE_S,
            )
        )


def _remembered(memory: Path) -> int | None:
    try:
        port = int(memory.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return port if 0 < port < 65536 else None


def _remember(memory: Path, port: int) -> None:
    """A start that cannot write it has moved for this once."""
    with contextlib.suppress(Faulty):
        files.replace(memory, f"{port}\n".encode(), mode=files.PUBLIC_MODE, sync=False)
