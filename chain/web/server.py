"""uvicorn inside a program of ours: the program owns the signals and the sockets, and hears when it is up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn


class WebServer(uvicorn.Server):
    """Serves until `stop`; `up` is set when connections are accepted."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Lets `serve` return after the requests that are being answered."""
        self.should_exit = True
