"""HTTP/1.1 connections as uvicorn handles them, with what a public port needs besides.

An application hears which certificate its client has shown, as the ASGI TLS extension describes it; nobody holds many
connections or an unfinished request for long.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from chain.gateway.admission.peer import peer_of

PEER_CONNECTIONS: Final = 64
"""Open at once from one address, or one IPv6 network; programs of this machine are not counted."""

REQUEST_S: Final = 30.0
"""How long a request may take to arrive, head and body."""

_log = logging.getLogger(__name__)


class GatewayProtocol(H11Protocol):
    """One connection."""

    _origin: str | None = None
    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = peer_of({"client": self.client})
        if not peer.local:
            self._origin = peer.name
            if self._alike() > PEER_CONNECTIONS:
                _log.warning("%s has %d connections: another is closed", peer.name, PEER_CONNECTIONS)
                transport.abort()
                return
        self._wait_for_request()
        connection = transport.get_extra_info("ssl_object")
        if connection is not None:
            self._tell_certificate(connection.getpeercert(binary_form=True))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._wait_for_request()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """A client that keeps its connection for later need not agree to its end; without this it delays the stop."""
        super().shutdown()
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.transport.abort()

    def _alike(self) -> int:
        """Connections from where this one comes from, itself included."""
        others = (each for each in self.connections if isinstance(each, GatewayProtocol))
        return sum(each._origin == self._origin for each in others)

    def _tell_certificate(self, shown: bytes | None) -> None:
        """Put the client's certificate (DER) into the scope of every request of this connection."""
        told = {
            "server_cert": None,
            "client_cert_chain": [ssl.DER_cert_to_PEM_cert(shown)] if shown else [],
            "client_cert_name": None,
            "client_cert_error": None,
            "tls_version": None,
            "cipher_suite": None,
        }
        application = self.app

        async def certified(scope: Any, receive: Any, send: Any) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), "tls": told}
            await application(scope, receive, send)

        self.app = certified

    def _wait_for_request(self) -> None:
        if self._giving_up is None:
            self._giving_up = self.loop.call_later(REQUEST_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
