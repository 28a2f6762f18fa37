"""ABCI 2.0 over a unix socket: what CometBFT's four connections (consensus, mempool, query, snapshot) speak to.

Every call runs to its end on the event loop's thread, so calls of all connections come one after the other and no lock
is needed: a proposal cannot be checked while a block is half finalized. Answers leave in the order of their requests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from chain.application.abci import (
    RequestApplySnapshotChunk,
    RequestCheckTx,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInfo,
    RequestInitChain,
    RequestListSnapshots,
    RequestLoadSnapshotChunk,
    RequestOfferSnapshot,
    RequestPrepareProposal,
    RequestProcessProposal,
    RequestQuery,
    ResponseApplySnapshotChunk,
    ResponseCheckTx,
    ResponseCommit,
    ResponseFinalizeBlock,
    ResponseInfo,
    ResponseInitChain,
    ResponseListSnapshots,
    ResponseLoadSnapshotChunk,
    ResponseOfferSnapshot,
    ResponsePrepareProposal,
    ResponseProcessProposal,
    ResponseQuery,
)
from chain.engines.cometbft.requests import Echo, Request, Unread, decode_request
from chain.engines.cometbft.responses import FIXED, encode_echo, encode_exception, encode_response
from chain.errors import Faulty, Malformed
from chain.wire.protobuf import delimited, read_varint

# A block of 22 020 096 bytes with its commit, a snapshot's chunk (16 MiB), a genesis of a hundred thousand accounts.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
# CometBFT opens four; a second instance that starts while the first one's are being closed has room, too.
MAX_CONNECTIONS = 16
_LENGTH_BYTES = 10

log = logging.getLogger(__name__)


class AbciApplication(Protocol):
    """ABCI 2.0 as the application speaks it, and `discard` for an engine that died between FinalizeBlock and Commit."""

    def info(self, request: RequestInfo) -> ResponseInfo: ...
    def init_chain(self, request: RequestInitChain) -> ResponseInitChain: ...
    def query(self, request: RequestQuery) -> ResponseQuery: ...
    def check_tx(self, request: RequestCheckTx) -> ResponseCheckTx: ...
    def prepare_proposal(self, request: RequestPrepareProposal) -> ResponsePrepareProposal: ...
    def process_proposal(self, request: RequestProcessProposal) -> ResponseProcessProposal: ...
    def finalize_block(self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock: ...
    def commit(self, request: RequestCommit) -> ResponseCommit: ...
    def list_snapshots(self, request: RequestListSnapshots) -> ResponseListSnapshots: ...
    def offer_snapshot(self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot: ...
    def load_snapshot_chunk(self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk: ...
    def apply_snapshot_chunk(self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk: ...
    def discard(self) -> None: ...


class AbciServer:
    """One application for whoever connects to a socket. All of it belongs to one event loop."""

    def __init__(self, application: AbciApplication, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.max_message_bytes = max_message_bytes
        self._application = application
        self._connections: set[_Connection] = set()
        self._finalizing: _Connection | None = None
        self._failure: asyncio.Future[None] | None = None
        self._server: asyncio.Server | None = None

    async def start(self, path: Path) -> None:
        """Listens on a unix socket that only this user may connect to; a socket that was left over is replaced."""
        loop = asyncio.get_running_loop()
        self._failure = loop.create_future()
        self._server = await loop.create_unix_server(lambda: _Connection(self), sock=_bound(path))

    async def failed(self) -> None:
        """Returns never; raises what the application raised, after which nothing is answered any more."""
        assert self._failure is not None, "started"
        await asyncio.shield(self._failure)

    async def close(self) -> None:
        """Ends all connections and forgets a block that was finalized and not committed."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.close()
        if self._failure is not None and not self._failure.done():
            self._failure.cancel()
        elif self._failure is not None:
            self._failure.exception()  # seen, whether or not anybody awaited it
        self._discard()

    def opened(self, connection: _Connection) -> bool:
        """Whether there is room for one more."""
        self._connections.add(connection)
        return len(self._connections) <= MAX_CONNECTIONS

    def closed(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        if connection is self._finalizing:
            self._discard()

    def answer(self, connection: _Connection, request: Request) -> bytes:
        """The encoded answer. What the application raises halts the server: it is told once, and answered nobody."""
        if self._failure is None or self._failure.done():
            raise _Halted("the application has failed and answers nothing any more")
        try:
            return self._call(connection, request)
        except Exception as error:
            log.exception("the application failed in %s; the node must halt", type(request).__name__)
            self._failure.set_exception(error)
            raise _Halted(f"{type(error).__name__}: {error}") from error

    def _call(self, connection: _Connection, request: Request) -> bytes:
        application = self._application
        answer: object
        match request:
            case Unread():
                return FIXED[request.method]
            case Echo():
                return encode_echo(request.message)
            case RequestCheckTx():
                answer = application.check_tx(request)
            case RequestQuery():
                answer = application.query(request)
            case RequestInfo():
                answer = application.info(request)
            case RequestInitChain():
                answer = application.init_chain(request)
            case RequestPrepareProposal():
                answer = application.prepare_proposal(request)
            case RequestProcessProposal():
                answer = application.process_proposal(request)
            case RequestListSnapshots():
                answer = application.list_snapshots(request)
            case RequestOfferSnapshot():
                answer = application.offer_snapshot(request)
            case RequestLoadSnapshotChunk():
                answer = application.load_snapshot_chunk(request)
            case RequestApplySnapshotChunk():
                answer = application.apply_snapshot_chunk(request)
            case RequestFinalizeBlock():
                self._discard()
                self._finalizing = connection
                answer = application.finalize_block(request)
            case RequestCommit():
                answer = application.commit(request)
                self._finalizing = None
        return encode_response(answer)

    def _discard(self) -> None:
        """The engine that finalized a block is gone or begins again: without Commit it did not happen."""
        if self._finalizing is not None:
            self._finalizing = None
            self._application.discard()


class _Halted(Exception):
    """The application has failed; its text is for the engine."""


class _Connection(asyncio.Protocol):
    """Length-prefixed requests in, length-prefixed answers out, in order."""

    def __init__(self, server: AbciServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._wanted = 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._server.opened(self):
            log.warning("an ABCI connection over the limit of %d was turned away", MAX_CONNECTIONS)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.closed(self)

    def pause_writing(self) -> None:
        """The engine reads slower than it asks: its next requests wait in the kernel."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) < self._wanted:
            return
        answers: list[bytes] = []
        going_on = self._answer_into(answers)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(answers))
            if not going_on:
                self._transport.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _answer_into(self, answers: list[bytes]) -> bool:
        """Answers every complete request; False when the connection must end after these answers."""
        try:
            for request in self._requests():
                answers.append(delimited(self._server.answer(self, request)))
        except Malformed as error:
            log.warning("an ABCI connection is closed: %s", error)
            return False
        except _Halted as error:
            answers.append(delimited(encode_exception(str(error))))
            return False
        return True

    def _requests(self) -> Iterator[Request]:
        """The complete requests received so far, taken off the buffer; raises Malformed."""
        position = 0
        try:
            while (bounds := self._next(position)) is not None:
                start, position = bounds
                yield decode_request(bytes(memoryview(self._received)[start:position]))
        finally:
            del self._received[:position]

    def _next(self, position: int) -> tuple[int, int] | None:
        """Where the request behind the length at `position` starts and ends; None while it is not all here."""
        left = len(self._received) - position
        head = bytes(self._received[position : position + _LENGTH_BYTES])
        if not any(byte < 0x80 for byte in head):
            if left >= _LENGTH_BYTES:
                raise Malformed("malformed", "the length of an ABCI request is longer than ten bytes")
            self._wanted = left + 1
            return None
        length, used = read_varint(head, 0)
        if length > self._server.max_message_bytes:
            raise Malformed("too_large", f"an ABCI request of {length} bytes; at most {self._server.max_message_bytes}")
        if left < used + length:
            self._wanted = used + length
            return None
        return position + used, position + used + length


def _bound(path: Path) -> socket.socket:
    """A unix socket of mode 0600; raises Faulty `home_invalid` where none can be."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise Faulty("home_invalid", f"the application's socket {path}: {error}") from error
    finally:
        os.umask(mask)
    return listening
