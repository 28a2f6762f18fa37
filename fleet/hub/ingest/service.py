"""Ingest as a service: one queue, one thread, one transaction per batch, and only then acknowledgement and receipt."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from threading import Event, Thread
from time import monotonic
from typing import Final, Protocol

from chain.crypto.keys import PrivateKey
from chain.errors import Refused
from chain.proofs.receipts import Receipt, sign_receipt
from fleet.hub.actions.desk import Desk
from fleet.hub.actions.events import ContradictionSeen, MessageRefused, RecordsAccepted
from fleet.hub.ingest import rows
from fleet.hub.ingest.documents import note_document
from fleet.hub.ingest.link import RECEIVE_MAXIMUM
from fleet.hub.ingest.messages import (
    AcceptedCommitment,
    ChainKey,
    Decisions,
    Document,
    Message,
    Opening,
    Refusal,
    Snapshot,
)
from fleet.hub.ingest.reading import read_batch
from fleet.hub.ingest.signatures import Checker, check_all
from fleet.hub.ingest.verify import Rules, decide
from fleet.protocol.topics import RECEIPT, Leaf

BATCH_MESSAGES: Final = 500
BATCH_MS: Final = 20
QUEUE_MESSAGES: Final = 2 * RECEIVE_MAXIMUM
"""All that the broker may have under way to us, and as many gauges again."""
RETRY_S: Final = 1.0
EVENTS_PER_BATCH: Final = 20

_log = logging.getLogger(__name__)


class Downlink(Protocol):
    """What ingest asks of the broker's connection; `BrokerLink` is one."""

    def acknowledge(self, messages: Iterable[Message]) -> None: ...

    def publish(self, leaf: Leaf, fleet: str, topic_id: str, payload: bytes) -> bool: ...


class ProofSink(Protocol):
    """Who takes PoG answers on: called in ingest's thread after the commit, must return at once."""

    def committed(self, commitments: Sequence[AcceptedCommitment]) -> None: ...

    def opened(self, openings: Sequence[Opening]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """Who we are. `epoch_at` gives the reward epoch of a time in ms by the chain's genesis time and parameters."""

    rules: Rules
    command_key: PrivateKey = field(repr=False)
    epoch_at: Callable[[int], int]
    batch_messages: int = BATCH_MESSAGES
    batch_ms: int = BATCH_MS
    queue_messages: int = QUEUE_MESSAGES


class Ingest:
    """Takes messages by `deliver`, decides them in batches, answers through the downlink.

    While the store cannot be written (`problem` says why), the batch in hand is tried again and again; nothing of it is
    acknowledged, and the broker keeps the rest.
    """

    def __init__(self, settings: IngestSettings, desk: Desk, proofs: ProofSink, check: Checker = check_all) -> None:
        self._settings = settings
        self._desk = desk
        self._proofs = proofs
        self._check = check
        self._queue: Queue[Message | None] = Queue(settings.queue_messages)
        self._stopping = Event()
        self._thread: Thread | None = None
        self._downlink: Downlink | None = None
        self.problem: str | None = None

    def deliver(self, message: Message) -> bool:
        """Hand over a message from the link's thread; False when there is no room for it."""
        try:
            self._queue.put_nowait(message)
        except Full:
            return False
        return True

    def start(self, downlink: Downlink) -> None:
        """Begin to work in a thread; `downlink` is where acknowledgements and receipts go."""
        self._downlink = downlink
        self._thread = Thread(target=self._run, name="ingest", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch in hand; what is still queued was not acknowledged and comes again."""
        self._stopping.set()
        with suppress(Full):
            self._queue.put_nowait(None)
        if self._thread is not None:
            self._thread.join(10)

    def process(self, connection: sqlite3.Connection, messages: Sequence[Message]) -> Decisions:
        """Decide and store one batch, and tell the live page; acknowledges nothing. Raises what SQLite raises."""
        now_ms = self._desk.now_ms()
        batch = read_batch(messages)
        snapshot = rows.load(connection, batch)
        decisions = decide(snapshot, batch, now_ms, self._settings.rules, self._check)
        if _changes_something(decisions):
            connection.execute("BEGIN IMMEDIATE")
            try:
                applied = rows.apply(connection, decisions, snapshot, now_ms, self._settings.epoch_at)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            decisions.refusals, decisions.commitments = applied.refusals, applied.commitments
        try:
            self._answer(connection, decisions, snapshot, now_ms)
        except Exception:  # what is on the disk is accepted, whoever could not be told of it
            _log.exception("answering a batch of %d messages failed", len(messages))
        return decisions

    def _run(self) -> None:
        with closing(self._desk.store.connect()) as connection:
            while not self._stopping.is_set():
                messages = self._next_batch()
                if messages and self._until_stored(connection, messages) and self._downlink is not None:
                    self._downlink.acknowledge(messages)

    def _next_batch(self) -> list[Message]:
        """Wait for a message, then take what comes within `batch_ms`."""
        first = self._queue.get()
        messages = [] if first is None else [first]
        deadline = monotonic() + self._settings.batch_ms / 1000
        while len(messages) < self._settings.batch_messages and not self._stopping.is_set():
            try:
                message = self._queue.get(timeout=max(0.0, deadline - monotonic()))
            except Empty:
                break
            if message is not None:
                messages.append(message)
        return messages

    def _until_stored(self, connection: sqlite3.Connection, messages: Sequence[Message]) -> bool:
        """True once the batch is on the disk; False when we are to stop before that."""
        while True:
            try:
                self.process(connection, messages)
                self.problem = None
                return True
            except sqlite3.Error as error:
                self.problem = f"records cannot be stored: {error}"
                _log.warning("%s; trying again", self.problem)
            except Exception:
                _log.exception("deciding a batch of %d messages failed; one by one", len(messages))
                return self._one_by_one(connection, messages)
            if self._stopping.wait(RETRY_S):
                return False

    def _one_by_one(self, connection: sqlite3.Connection, messages: Sequence[Message]) -> bool:
        """A fault of ours in one message must not take the others down, nor come back with it for ever."""
        for message in messages:
            try:
                self.process(connection, [message])
            except sqlite3.Error as error:
                self.problem = f"records cannot be stored: {error}"
                return False
            except Exception:
                _log.exception("dropping a message of %d bytes on %s", len(message.payload), message.topic)
                refusal = Refusal("malformed", "", message.topic, "the hub could not decide this message; see its log")
                rows.count_refusals(connection, [refusal], self._desk.now_ms())
        return True

    def _answer(self, connection: sqlite3.Connection, decisions: Decisions, snapshot: Snapshot, now_ms: int) -> None:
        for key, topic_id in decisions.receipts.items():
            self._send_receipt(key, topic_id, snapshot, now_ms)
        if decisions.commitments:
            self._proofs.committed(decisions.commitments)
        if decisions.openings:
            self._proofs.opened(decisions.openings)
        for document in decisions.documents:
            self._note(connection, document, now_ms)
        self._publish_events(decisions, snapshot, now_ms)

    def _send_receipt(self, key: ChainKey, topic_id: str, snapshot: Snapshot, now_ms: int) -> None:
        if self._downlink is None:
            return
        chain = snapshot.chains[key]
        upto_seq = chain.upto_seq if chain.upto_seq >= 0 else None
        receipt = Receipt(*key, upto_seq, chain.head_hash, tuple(chain.missing()), now_ms)
        signed = sign_receipt(receipt, self._settings.command_key, self._settings.rules.chain_id)
        self._downlink.publish(RECEIPT, snapshot.devices[topic_id].fleet, topic_id, signed)

    def _note(self, connection: sqlite3.Connection, document: Document, now_ms: int) -> None:
        try:
            note_document(self._desk, document)
        except Refused as error:
            refusal = Refusal(error.code, document.address.device, document.address.leaf.name, error.message)
            rows.count_refusals(connection, [refusal], now_ms)
            self._publish_refusal(refusal, now_ms)

    def _publish_events(self, decisions: Decisions, snapshot: Snapshot, now_ms: int) -> None:
        counts: dict[str, int] = {}
        kids: dict[str, str] = {}
        for record in decisions.records:
            counts[record.topic_id] = counts.get(record.topic_id, 0) + 1
            kids[record.topic_id] = record.kid.hex()
        upto = {topic_id: snapshot.chains[key].upto_seq for key, topic_id in decisions.receipts.items()}
        for topic_id, count in counts.items():
            news = RecordsAccepted(
                at_ms=now_ms, device=topic_id, count=count, upto_seq=upto[topic_id], record_key=kids[topic_id]
            )
            self._desk.bus.publish(news)
        for item in decisions.contradictions:
            self._desk.bus.publish(
                ContradictionSeen(at_ms=now_ms, device=item.topic_id, chain=item.chain.hex(), seq=item.seq)
            )
        for refusal in decisions.refusals[:EVENTS_PER_BATCH]:
            self._publish_refusal(refusal, now_ms)

    def _publish_refusal(self, refusal: Refusal, now_ms: int) -> None:
        self._desk.bus.publish(
            MessageRefused(
                at_ms=now_ms,
                device=refusal.topic_id or None,
                code=refusal.code,
                detail=refusal.detail,
                topic=refusal.topic,
            )
        )


def _changes_something(decisions: Decisions) -> bool:
    return bool(decisions.refusals or decisions.delegations or decisions.records or decisions.commitments)
