"""PoG rounds in the store: hand-written SQL, each function one statement or one transaction's part."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import cbor2

from chain.proofs.pog.format import Commitment


@dataclass(frozen=True, slots=True)
class RoundRow:
    """A round that is not over. `commit_height` is that of the block with the root, null before."""

    challenge_height: int
    beacon: bytes
    profile: str
    announced_ms: int
    window_ms: int
    state: str
    commit_height: int | None
    open_beacon: bytes | None


@dataclass(frozen=True, slots=True)
class CommittedRow:
    """One GPU's commitment: what was committed, its canonical bytes (a leaf of the root), and when it came."""

    commitment: Commitment
    encoded: bytes
    received_ms: int


def insert_round(connection: sqlite3.Connection, row: RoundRow) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO pog_rounds (challenge_height, beacon, profile, announced_ms, window_ms, state)"
        " VALUES (?,?,?,?,?,'open')",
        (row.challenge_height, row.beacon, row.profile, row.announced_ms, row.window_ms),
    )


def open_rounds(connection: sqlite3.Connection) -> list[RoundRow]:
    found = connection.execute(
        "SELECT challenge_height, beacon, profile, announced_ms, window_ms, state, commit_height, open_beacon"
        " FROM pog_rounds WHERE state IN ('open', 'committed', 'opened') ORDER BY challenge_height"
    )
    return [RoundRow(*row) for row in found]


def ready_devices(connection: sqlite3.Connection, now_ms: int) -> list[bytes]:
    """The devices that can answer a challenge: connected, registered, and with a record key to sign with."""
    found = connection.execute(
        "SELECT device FROM devices WHERE online = 1 AND registered_height IS NOT NULL AND EXISTS"
        " (SELECT 1 FROM delegations WHERE delegations.device = devices.device AND not_after_ms > ?) ORDER BY device",
        (now_ms,),
    )
    return [device for (device,) in found]


def count_answers(connection: sqlite3.Connection, challenge_height: int) -> tuple[int, int, int]:
    """(devices that committed, GPUs that committed, GPUs with a result)."""
    row = connection.execute(
        "SELECT count(DISTINCT device), count(*),"
        " (SELECT count(*) FROM pog_results WHERE challenge_height = ?1)"
        " FROM pog_commitments WHERE challenge_height = ?1",
        (challenge_height,),
    ).fetchone()
    return row[0], row[1], row[2]


def commitments(connection: sqlite3.Connection, challenge_height: int) -> list[CommittedRow]:
    """In the order of the leaves."""
    found = connection.execute(
        "SELECT raw, received_ms FROM pog_commitments WHERE challenge_height = ?", (challenge_height,)
    ).fetchall()
    rows = []
    for raw, received_ms in found:
        encoded = bytes(cbor2.loads(raw).value[2])  # was read strictly before it was stored
        rows.append(CommittedRow(Commitment.decode(encoded), encoded, received_ms))
    return sorted(rows, key=lambda row: row.encoded)


def set_state(connection: sqlite3.Connection, challenge_height: int, before: str, after: str) -> bool:
    """Move a round on; False when it is no longer in state `before`."""
    found = connection.execute(
        "UPDATE pog_rounds SET state = ? WHERE challenge_height = ? AND state = ?", (after, challenge_height, before)
    )
    return found.rowcount == 1


def set_root(connection: sqlite3.Connection, challenge_height: int, root: bytes, count: int) -> None:
    connection.execute(
        "UPDATE pog_rounds SET root = ?, count = ? WHERE challenge_height = ?", (root, count, challenge_height)
    )


def set_commit_height(
    connection: sqlite3.Connection, challenge_height: int, tx_hash: bytes | None, height: int
) -> None:
    connection.execute(
        "UPDATE pog_rounds SET commit_tx = ?, commit_height = ? WHERE challenge_height = ?",
        (tx_hash, height, challenge_height),
    )


def set_open_beacon(connection: sqlite3.Connection, challenge_height: int, beacon: bytes) -> None:
    connection.execute("UPDATE pog_rounds SET open_beacon = ? WHERE challenge_height = ?", (beacon, challenge_height))


def insert_result(
    connection: sqlite3.Connection,
    commitment: Commitment,
    *,
    reward_epoch: int,
    code: str | None,
    rows_checked: int,
    elapsed_ms: int | None,
    operations_per_s: int | None,
    checked_ms: int,
) -> bool:
    """Note how an answer turned out; the first result counts. An epoch that has its batch passes it on to the next."""
    found = connection.execute(
        "INSERT OR IGNORE INTO pog_results (challenge_height, device, gpu, reward_epoch, profile, ok, code,"
        " rows_checked, elapsed_ms, operations_per_s, checked_ms)"
        " VALUES (?,?,?, max(?, (SELECT coalesce(max(reward_epoch) + 1, 0) FROM batches)), ?,?,?,?,?,?,?)",
        (commitment.challenge_height, commitment.device, commitment.gpu, reward_epoch, commitment.profile,
         code is None, code, rows_checked, elapsed_ms, operations_per_s, checked_ms),
    )  # fmt: skip
    return found.rowcount == 1
