"""Answers challenges: the leaf, its path and the delegation of its key, from the store into the outbox, once each."""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from chain.crypto import address
from chain.crypto.keys import PublicKey
from chain.errors import DccnError
from chain.proofs.batch import Batch, Inclusion
from chain.proofs.records import open_record
from chain.wire.disputes import LeafProof, proof_response
from chain.wire.kinds import Content
from fleet.hub.actions.desk import Desk, audit_row
from fleet.hub.actions.events import HubEvent, LeafChallenged, LeafNotShown, LeafShown
from fleet.hub.chain.outbox import enqueue, row_of
from fleet.hub.chain.rules import ChainRules
from fleet.hub.proofs.challenges import (
    Challenge,
    Step,
    count_shown,
    next_step,
    open_challenges,
    set_answering,
    set_state,
)

ROOM_BLOCKS: Final = 2
"""An answer may be included for so many blocks more than fit into its time: blocks are slower, never faster."""
LATE: Final = "tx_late"
GONE: Final = "tx_unknown_batch"
"""Said of a leaf, or of the delegation of its key, that the store does not hold."""

_log = logging.getLogger(__name__)


class ChallengeService:
    """Belongs to the proofs' thread.

    `codes` gives the proven results of a block, and raises DccnError while they cannot be proven; `tree` rebuilds a
    batch from the store.
    """

    def __init__(
        self,
        desk: Desk,
        rules: ChainRules,
        codes: Callable[[int], Sequence[int]],
        tree: Callable[[sqlite3.Connection, int], Batch],
        *,
        account: PublicKey,
        hub: bytes,
        wake_sender: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._rules = rules
        self._codes = codes
        self._tree = tree
        self._account = account
        self._hub = hub
        self._wake_sender = wake_sender

    def step(self, connection: sqlite3.Connection, chain_time_ms: int, newest_height: int) -> None:
        """Do what the open challenges need now; `chain_time_ms` is the newest header's time."""
        challenges = open_challenges(connection)
        if not challenges:
            return
        proven = self._proven({each.height for each in challenges if each.state == "seen"}, newest_height)
        wanted: dict[int, list[Challenge]] = defaultdict(list)
        for challenge in challenges:
            codes = proven.get(challenge.height)
            accepted = None if codes is None else codes[challenge.tx_index : challenge.tx_index + 1] == (0,)
            answer = row_of(connection, challenge.subject)
            step = next_step(challenge, accepted, answer, chain_time_ms)
            if step == "answer":
                wanted[challenge.reward_epoch].append(challenge)
            elif step != "wait":
                self._settle(connection, challenge, step)
        for reward_epoch, together in wanted.items():
            self._answer(connection, reward_epoch, together, chain_time_ms, newest_height)

    def _proven(self, heights: set[int], newest_height: int) -> dict[int, tuple[int, ...]]:
        """The results of these blocks, as far as the next header is there to prove them."""
        proven = {}
        for height in sorted(heights):
            if height >= newest_height:
                break
            try:
                proven[height] = tuple(self._codes(height))
            except DccnError as error:
                _log.debug("the results of block %d: %s", height, error)
        return proven

    def _answer(
        self,
        connection: sqlite3.Connection,
        reward_epoch: int,
        challenges: Sequence[Challenge],
        chain_time_ms: int,
        newest_height: int,
    ) -> None:
        """Put the answers about one batch, whose tree is hashed once, into the outbox."""
        batch = self._tree(connection, reward_epoch)
        held = [challenge for challenge in challenges if challenge.position < batch.count]
        inclusions = batch.inclusions([challenge.position for challenge in held])
        shown = {challenge.position: found for challenge, found in zip(held, inclusions, strict=True)}
        for challenge in challenges:
            inclusion = shown.get(challenge.position)
            content = None if inclusion is None else self._content(connection, batch, reward_epoch, inclusion)
            if content is None:
                self._settle(connection, challenge, "lost", GONE)
            else:
                self._send(connection, challenge, content, chain_time_ms, newest_height)
        self._wake_sender()

    def _content(
        self, connection: sqlite3.Connection, batch: Batch, reward_epoch: int, inclusion: Inclusion
    ) -> Content | None:
        raw = batch.leaves[inclusion.index].raw
        signed = open_record(raw)
        row = connection.execute(
            "SELECT raw FROM delegations WHERE device = ? AND kid = ?", (signed.record.device, signed.envelope.kid)
        ).fetchone()
        if row is None:
            return None
        leaf = LeafProof(inclusion.index, inclusion.leaf_sum, inclusion.path, raw)
        return proof_response(reward_epoch, self._hub, leaf, bytes(row[0]))

    def _send(
        self,
        connection: sqlite3.Connection,
        challenge: Challenge,
        content: Content,
        chain_time_ms: int,
        newest_height: int,
    ) -> None:
        """The answer and the challenge's new state in one transaction, so that a crash can part them nowhere."""
        left_ms = challenge.deadline_ms - chain_time_ms
        blocks = max(0, left_ms) // self._rules.parameters["block_interval_ms"] + ROOM_BLOCKS
        tried = replace(challenge, attempts=challenge.attempts + 1)
        now_ms = self._desk.now_ms()
        first = LeafChallenged(
            at_ms=now_ms,
            reward_epoch=challenge.reward_epoch,
            index=challenge.position,
            challenger=address.encode(challenge.challenger),
            height=challenge.height,
        )

        def write() -> HubEvent | None:
            enqueue(
                connection,
                kind="proof_response",
                subject=tried.subject,
                content=content,
                sender=self._account,
                valid_until_height=newest_height + blocks,
                now_ms=now_ms,
            )
            set_answering(connection, tried, chain_time_ms)
            return first if challenge.state == "seen" else None

        self._change(connection, write)

    def _settle(self, connection: sqlite3.Connection, challenge: Challenge, step: Step, code: str = LATE) -> None:
        """The end of a challenge; `code` says why it is lost if no answer was refused."""
        at_ms, place = self._desk.now_ms(), {"reward_epoch": challenge.reward_epoch, "index": challenge.position}

        def write() -> HubEvent | None:
            if step == "dismiss":
                set_state(connection, challenge, "dismissed")
                return None
            answer = row_of(connection, challenge.subject)
            if step == "shown" and answer is not None and answer.height is not None:
                set_state(connection, challenge, "shown")
                return LeafShown(at_ms=at_ms, **place, height=answer.height, shown=count_shown(connection))
            set_state(connection, challenge, "lost")
            return LeafNotShown(at_ms=at_ms, **place, code=_code_of_answer(connection, challenge) or code)

        self._change(connection, write)

    def _change(self, connection: sqlite3.Connection, write: Callable[[], HubEvent | None]) -> None:
        """One database transaction with the event's audit row; the event is published after it."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            event = write()
            if event is not None:
                connection.execute(
                    "INSERT INTO events (at_ms, kind, topic_id, body) VALUES (:at_ms, :kind, :topic_id, :body)",
                    audit_row(event),
                )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        if event is not None:
            self._desk.bus.publish(event)


def _code_of_answer(connection: sqlite3.Connection, challenge: Challenge) -> str | None:
    row = connection.execute("SELECT code FROM outbox WHERE subject = ?", (challenge.subject,)).fetchone()
    return None if row is None else row[0]
