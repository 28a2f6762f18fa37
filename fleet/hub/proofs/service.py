"""Proofs as a service: one thread for PoG rounds, epoch batches and challenges, woken by blocks, answers and time."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Final

from chain.crypto.keys import PrivateKey
from chain.errors import DccnError
from fleet.hub.actions.desk import Desk
from fleet.hub.chain.follower import Block, Follower
from fleet.hub.chain.rules import ChainRules
from fleet.hub.commander import Commander
from fleet.hub.ingest.messages import AcceptedCommitment, Opening
from fleet.hub.ports import Inclusion
from fleet.hub.proofs.batches import BatchService
from fleet.hub.proofs.challenge_service import ChallengeService
from fleet.hub.proofs.commands import PogCommands
from fleet.hub.proofs.ending import Ending
from fleet.hub.proofs.round_service import RoundService

TICK_S: Final = 0.05
RETRY_S: Final = 1.0
QUEUE_ITEMS: Final = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofSettings:
    """Whose proofs these are: `hub` is the account's address, `profile` the PoG profile that is asked for."""

    fleet: str
    account: PrivateKey = field(repr=False)
    hub: bytes
    profile: str


class ProofService:
    """`ProofPort` and `ProofSink`. `reader` gives this thread a follower of its own; `wake_sender` rouses the chain's.

    A block or an answer that finds the queue full is dropped: rounds are asked again and batches need only the newest.
    """

    def __init__(
        self,
        settings: ProofSettings,
        desk: Desk,
        rules: ChainRules,
        commander: Commander,
        reader: Callable[[], Follower],
        wake_sender: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._reader = reader
        self._queue: Queue[Block | Opening | None] = Queue(QUEUE_ITEMS)
        self._stopping = Event()
        self._thread: Thread | None = None
        self._follower: Follower | None = None
        self._chain_time_ms, self._newest_height = 0, 0
        self._ending = Ending(desk, commander)
        self._rules = rules
        self._rounds = RoundService(
            desk,
            self,
            PogCommands(commander),
            rules,
            account=settings.account.public,
            hub=settings.hub,
            profile=settings.profile,
            wake_sender=wake_sender,
        )
        self._batches = BatchService(
            desk, rules, account=settings.account.public, hub=settings.hub, wake_sender=wake_sender
        )
        self._challenges = ChallengeService(
            desk,
            rules,
            lambda height: self._chain().codes(height),
            self._batches.tree,
            account=settings.account.public,
            hub=settings.hub,
            wake_sender=wake_sender,
        )

    def start(self) -> None:
        self._ending.start()
        self._thread = Thread(target=self._run, name="proofs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending.stop()
        self._stopping.set()
        self._put(None)
        if self._thread is not None:
            self._thread.join(10)

    # --- For others (any thread) ---

    def inclusion(self, device: str, chain: bytes, seq: int) -> Inclusion | None:
        with contextlib.closing(self._desk.store.connect()) as connection:
            return self._batches.inclusion(connection, device, chain, seq)

    def note_block(self, block: Block) -> None:
        self._put(block)

    def committed(self, commitments: Sequence[AcceptedCommitment]) -> None:
        self._put(None)

    def opened(self, openings: Sequence[Opening]) -> None:
        for opening in openings:
            self._put(opening)

    # --- The thread ---

    def beacon(self, height: int) -> bytes:
        return self._chain().beacon(height)

    def header_time_ms(self, height: int) -> int:
        return self._chain().header_time_ms(height)

    def _chain(self) -> Follower:
        assert self._follower is not None
        return self._follower

    def _run(self) -> None:
        with contextlib.closing(self._desk.store.connect()) as connection:
            while not self._stopping.is_set():
                try:
                    self._work(connection)
                except DccnError as error:
                    _log.warning("proofs: %s", error)
                except sqlite3.Error as error:
                    _log.warning("proofs cannot be stored: %s", error)
                except Exception:
                    _log.exception("a step of the proofs failed")
                self._stopping.wait(RETRY_S)

    def _work(self, connection: sqlite3.Connection) -> None:
        """Until something fails or we stop."""
        self._follower = self._reader()
        self._follower.open(connection)
        while not self._stopping.is_set():
            self._take_waiting(connection)
            if not self._newest_height:
                continue
            self._challenges.step(connection, self._chain_time_ms, self._newest_height)
            self._rounds.step(connection)
            boundary_ms = self._rules.epoch_start_ms(self._rules.epoch_at(self._chain_time_ms))
            unsettled = self._rounds.unsettled_before(connection, boundary_ms)
            self._batches.step(connection, self._chain_time_ms, self._newest_height, unsettled)

    def _take_waiting(self, connection: sqlite3.Connection) -> None:
        """Everything that is queued, so that what comes next is decided on the newest block."""
        timeout: float | None = TICK_S
        while not self._stopping.is_set():
            try:
                item = self._queue.get(timeout=timeout) if timeout else self._queue.get_nowait()
            except Empty:
                return
            timeout = None
            if isinstance(item, Block):
                self._chain_time_ms, self._newest_height = item.time_ms, item.height
                self._rounds.note_block(connection, item)
            elif isinstance(item, Opening):
                self._rounds.take_opening(connection, item)

    def _put(self, item: Block | Opening | None) -> None:
        with contextlib.suppress(Full):
            self._queue.put_nowait(item)
