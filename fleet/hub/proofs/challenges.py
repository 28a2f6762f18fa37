"""What to do about a challenge of a leaf: rows that outlive a crash, and the decision, which is pure.

A challenge is `seen` when its block was taken in. It is `dismissed` if the ledger refused it, else `answering` from the
database transaction on that puts its answer into the outbox, and ends `shown` or `lost`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final, Literal

from fleet.hub.chain.outbox import OutboxRow

PROVEN_PARTS: Final = 2
"""After half of the time for an answer one is sent even if it cannot be proven that the ledger wants it."""
AGAIN_PARTS: Final = 8
"""An answer that no block took is sent again after an eighth of that time."""
OPEN_AT_ONCE: Final = 256

State = Literal["seen", "answering", "shown", "lost", "dismissed"]
Step = Literal["wait", "dismiss", "answer", "shown", "lost"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge by its place in the chain; `position` is the leaf's. Times are the chain's, in ms since 1970."""

    height: int
    tx_index: int
    reward_epoch: int
    position: int
    challenger: bytes
    asked_ms: int
    deadline_ms: int
    state: State
    attempts: int
    answered_ms: int | None

    @property
    def subject(self) -> str:
        """Of its newest answer in the outbox."""
        return f"challenge/{self.height}/{self.tx_index}/{self.attempts}"


def next_step(challenge: Challenge, accepted: bool | None, answer: OutboxRow | None, chain_time_ms: int) -> Step:
    """Decide about an open challenge.

    `accepted`: whether the ledger took it, None while that is not proven; `answer` is the newest one's outbox row;
    `chain_time_ms` the newest header's time. What the ledger refused is dismissed, so that nobody can make the hub pay
    fees for answers to challenges without a bond.
    """
    time_ms = challenge.deadline_ms - challenge.asked_ms
    is_late = chain_time_ms > challenge.deadline_ms
    if challenge.state == "seen":
        if accepted is False:
            return "dismiss"
        if is_late:
            return "lost"
        return "answer" if accepted or chain_time_ms >= challenge.asked_ms + time_ms // PROVEN_PARTS else "wait"
    if answer is None or answer.state in ("pending", "sent"):
        return "wait"
    if answer.state == "included":
        return "shown"
    if answer.height is not None or is_late:
        return "lost"
    since_ms = chain_time_ms - (challenge.answered_ms or challenge.asked_ms)
    return "answer" if since_ms * AGAIN_PARTS >= time_ms else "wait"


def open_challenges(connection: sqlite3.Connection) -> list[Challenge]:
    """Those that are not settled, the most urgent first."""
    found = connection.execute(
        "SELECT height, tx_index, reward_epoch, position, challenger, asked_ms, deadline_ms, state, attempts,"
        " answered_ms FROM leaf_challenges WHERE state IN ('seen', 'answering')"
        " ORDER BY deadline_ms, height, tx_index LIMIT ?",
        (OPEN_AT_ONCE,),
    )
    return [Challenge(*row) for row in found]


def set_state(connection: sqlite3.Connection, challenge: Challenge, state: State) -> None:
    connection.execute(
        "UPDATE leaf_challenges SET state = ? WHERE height = ? AND tx_index = ?",
        (state, challenge.height, challenge.tx_index),
    )


def set_answering(connection: sqlite3.Connection, challenge: Challenge, chain_time_ms: int) -> None:
    """`challenge` with the number of its new attempt."""
    connection.execute(
        "UPDATE leaf_challenges SET state = 'answering', attempts = ?, answered_ms = ?"
        " WHERE height = ? AND tx_index = ?",
        (challenge.attempts, chain_time_ms, challenge.height, challenge.tx_index),
    )


def count_shown(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM leaf_challenges WHERE state = 'shown'").fetchone()
    return int(count)
