"""A socket that is bound early, so that its port is known before anything is served."""

from __future__ import annotations

import errno
import socket

from chain.errors import Faulty


def bind(host: str, port: int, *, may_move: bool) -> socket.socket:
    """A bound TCP socket; raises Faulty `port_occupied` if another program has the port and it must be this one."""
    try:
        return _bound(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and may_move:
            return _bound(host, 0)
        reason = "another program listens there" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise Faulty("port_occupied", f"cannot listen on {host} port {port}: {reason}") from error


def url_of(bound: socket.socket, scheme: str = "http") -> str:
    host, port = bound.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


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
