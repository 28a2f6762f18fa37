"""RPC over HTTP inside the node's own event loop: a socket that is bound early, and uvicorn on it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from litestar import Litestar

from chain.errors import Faulty
from chain.node.rpc import RpcLimits

BACKLOG = 512
KEEP_ALIVE_S = 30
STOP_GRACE_S = 3


def bind(host: str, port: int, *, may_move: bool) -> socket.socket:
    """A bound TCP socket; raises Faulty `port_occupied` if another program has the port and it must be this one."""
    try:
        return _bound(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and may_move:
            return _bound(host, 0)
        reason = "another program listens there" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise Faulty("port_occupied", f"cannot serve RPC on {host} port {port}: {reason}") from error


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


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class RpcServer(uvicorn.Server):
    """uvicorn without its signal handlers, which belong to the node; `ready` is set when it accepts connections."""

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
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Lets `serve` return after the requests that are being answered."""
        self.should_exit = True


def _remembered(memory: Path) -> int | None:
    try:
        port = int(memory.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return port if 0 < port < 65536 else None


def _remember(memory: Path, port: int) -> None:
    """A start that cannot write it has moved for this once."""
    with contextlib.suppress(OSError):
        temporary = memory.with_name(memory.name + ".new")
        temporary.write_text(f"{port}\n", "ascii")
        temporary.replace(memory)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only where it sees TCP; without it answers take 40 ms more.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
