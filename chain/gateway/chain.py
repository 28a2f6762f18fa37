"""The chain as request handlers ask it: a few proving clients on threads of their own, no more questions than those."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeVar

from chain.errors import Malformed, Refused, Unavailable
from chain.light.rpc import PRUNED
from chain.wallet.client import ChainClient
from chain.wallet.trust import Trust
from chain.wire.header import Header

CLIENTS = 4
"""Questions that are answered at once; a light client is no thing to share between threads."""

PATIENCE_S = 5.0
"""How long a question waits for a client before its asker is sent away."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """Room for one client, which is there once its first question was asked."""

    client: ChainClient | None = None


class Chain:
    """One node, asked by several clients that start from the same trusted header. Belongs to one event loop."""

    def __init__(self, node: str, trust: Trust | None = None, memory: Path | None = None) -> None:
        self._node = node
        self._trust = trust
        self._memory = memory
        self._note = ""  # what the first client was told to believe, and by whom
        self._linked: dict[bytes, Header] = {}  # so that a way back is gone once, not by each client
        self._begun = Lock()
        self._slots = [_Slot() for _ in range(CLIENTS)]
        self._idle: asyncio.Queue[_Slot] = asyncio.Queue()
        for slot in self._slots:
            self._idle.put_nowait(slot)
        self._threads = ThreadPoolExecutor(CLIENTS, thread_name_prefix="chain-client")

    async def ask(self, question: Callable[[ChainClient], T]) -> T:
        """The answer of `question`, on a thread.

        Raises Unavailable `gateway_busy` when no client gets free in time, `unreachable` without a node, Refused
        `proof_invalid` for a node whose answer cannot be read or proven, `height_unknown` for blocks that it has let
        go, and what `question` raises.
        """
        try:
            slot = await asyncio.wait_for(self._idle.get(), PATIENCE_S)
        except TimeoutError:
            busy = Unavailable("gateway_busy", f"{CLIENTS} questions are in work; waited {PATIENCE_S} s")
            busy.retry_after_s = round(PATIENCE_S)
            raise busy from None
        answer = self._threads.submit(self._answer, slot, question)
        loop = asyncio.get_running_loop()

        def free(_: Future[T]) -> None:
            loop.call_soon_threadsafe(self._idle.put_nowait, slot)

        # An asker that goes away frees no client: its thread still works with it.
        answer.add_done_callback(free)
        return await asyncio.wrap_future(answer)

    def close(self) -> None:
        """After the questions that are being answered."""
        self._threads.shutdown()
        for slot in self._slots:
            if slot.client is not None:
                slot.client.close()

    def _answer(self, slot: _Slot, question: Callable[[ChainClient], T]) -> T:
        try:
            if slot.client is None:
                slot.client = self._connect()
            return question(slot.client)
        except Malformed as error:
            # What the asker sent was read before: these are the node's bytes.
            raise Refused("proof_invalid", f"the node's answer cannot be read: {error.message}") from None
        except Unavailable as error:
            if PRUNED in error.message:
                raise Refused("height_unknown", error.message) from None
            raise

    def _connect(self) -> ChainClient:
        """The first one decides what is trusted, and remembers it; the others begin where it began."""
        with self._begun:
            client = ChainClient(self._node, self._trust, memory=self._memory)
            if not self._note:
                client.light.update()
                header = client.light.store.states()[0].header
                self._trust = self._trust or Trust(header.height, header.hash())
                self._note, self._memory = client.trusted, None
                if client.own_word:
                    _log.warning(
                        "first contact with %s: trusting %s; --trust names another", client.chain_id, self._note
                    )
            client.trusted, client.light.linked = self._note, self._linked
            return client
