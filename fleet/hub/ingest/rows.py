"""The ingest path's own SQL for SQLite: what a batch names, and one transaction for all that it leads to.

Hand-written, since an insert through SQLAlchemy costs three times as much. Every statement is idempotent or guarded by
a key, so a batch that comes again after a crash changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import cbor2

from chain.proofs.delegation import SignedDelegation
from chain.proofs.pog.format import Commitment
from fleet.hub.actions.desk import audit_row
from fleet.hub.actions.events import ContradictionSeen
from fleet.hub.ingest.continuity import Chain, Link
from fleet.hub.ingest.messages import (
    AcceptedCommitment,
    ChainKey,
    Decisions,
    DelegationView,
    DeviceView,
    Refusal,
    RoundView,
    Snapshot,
)
from fleet.hub.ingest.reading import Batch, OpeningBody, Reading
from fleet.hub.store.tables import REFUSAL_LOG_ROWS

PARAMETERS_AT_ONCE: Final = 900
"""SQLite's oldest bound on `?` in one statement is 999."""
LOGGED_PER_BATCH: Final = 50
NO_EPOCH: Final = -1
"""`reward_epoch` of a stale record: it is never in a batch."""

Row = tuple[Any, ...]


@dataclass(slots=True)
class Applied:
    """What the store made of the decisions: `refusals` includes those that only the store could decide."""

    refusals: list[Refusal] = field(default_factory=list)
    commitments: list[AcceptedCommitment] = field(default_factory=list)


def load(connection: sqlite3.Connection, batch: Batch) -> Snapshot:
    """Everything in the store that the batch names."""
    topic_ids = {reading.address.device for reading in batch.readings}
    kids = {key for reading in batch.readings if (key := _record_key(reading)) is not None}
    named = {(s.record.device, s.record.chain, s.record.seq) for s in batch.records()}
    heights = {height for reading in batch.readings if (height := _height(reading)) is not None}
    return Snapshot(
        devices={row[1]: DeviceView(row[0], row[1], row[2], row[3], row[4] is not None, row[5] or 0)
                 for row in _select(connection, _DEVICES, topic_ids)},
        delegations={(row[0], row[1]): DelegationView(row[0], *row[2:])
                     for row in _select(connection, _DELEGATIONS, kids)},
        chains=_chains(connection, named),
        rounds={row[0]: RoundView(*row) for row in _select(connection, _ROUNDS, heights)},
        commitments={(row[0], row[1], row[2]): row[3] for row in _select(connection, _COMMITMENTS, heights)},
    )  # fmt: skip


def apply(
    connection: sqlite3.Connection,
    decisions: Decisions,
    snapshot: Snapshot,
    now_ms: int,
    epoch_at: Callable[[int], int],
) -> Applied:
    """Write the decisions inside the caller's transaction. `epoch_at` gives the reward epoch of a time in ms.

    A record whose epoch has its batch already goes into the next one, so that each is in exactly one batch.
    """
    applied = Applied(list(decisions.refusals))
    (batched,) = connection.execute("SELECT max(reward_epoch) FROM batches").fetchone()
    first_open = 0 if batched is None else batched + 1
    connection.executemany(
        "INSERT OR IGNORE INTO delegations"
        " (kid, device, record_public, boot, not_before_ms, not_after_ms, received_ms, raw)"
        " VALUES (?,?,?,?,?,?,?,?)",
        [
            (item.kid, item.view.device, item.view.record_public, item.view.boot, item.view.not_before_ms,
             item.view.not_after_ms, item.arrived_ms, item.raw)
            for item in decisions.delegations
        ],
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO records (device, chain, seq, received_ms, reward_epoch, payload_hash, raw) VALUES (?,?,?,?,?,?,?)",
        [
            (record.device, record.chain, record.seq, record.arrived_ms,
             NO_EPOCH if record.stale else max(first_open, epoch_at(record.to_ms)), record.hash, record.raw)
            for record in decisions.records
        ],
    )  # fmt: skip
    _advance_chains(connection, decisions, snapshot)
    _note_contradictions(connection, decisions)
    for commitment in decisions.commitments:
        _insert_commitment(connection, commitment, applied)
    count_refusals(connection, applied.refusals, now_ms)
    seen = {(now_ms, record.device) for record in decisions.records}
    connection.executemany("UPDATE devices SET last_seen_ms = ? WHERE device = ?", seen)
    return applied


def _advance_chains(connection: sqlite3.Connection, decisions: Decisions, snapshot: Snapshot) -> None:
    touched = {(record.device, record.chain) for record in decisions.records}
    connection.executemany(
        "UPDATE record_chains SET next_seq = ?, head_hash = ? WHERE device = ? AND chain = ?",
        [(snapshot.chains[key].upto_seq + 1, snapshot.chains[key].head_hash, *key) for key in touched],
    )


def _note_contradictions(connection: sqlite3.Connection, decisions: Decisions) -> None:
    for item in decisions.contradictions:
        found = connection.execute(
            "INSERT OR IGNORE INTO contradictions (device, chain, seq, seen_ms, first_raw, second_raw)"
            " SELECT device, chain, seq, ?, raw, ? FROM records WHERE device = ? AND chain = ? AND seq = ?",
            (item.arrived_ms, item.raw, item.device, item.chain, item.seq),
        )
        if found.rowcount:
            event = ContradictionSeen(at_ms=item.arrived_ms, device=item.topic_id, chain=item.chain.hex(), seq=item.seq)
            connection.execute(
                "INSERT INTO events (at_ms, kind, topic_id, body) VALUES (:at_ms, :kind, :topic_id, :body)",
                audit_row(event),
            )


def _insert_commitment(connection: sqlite3.Connection, item: AcceptedCommitment, applied: Applied) -> None:
    """Only while the round is open: the round's own thread may have closed it since the snapshot."""
    commitment, message = item.commitment, item.message
    found = connection.execute(
        "INSERT OR IGNORE INTO pog_commitments (challenge_height, device, gpu, profile, n, root, received_ms, raw)"
        " SELECT challenge_height, ?, ?, ?, ?, ?, ?, ? FROM pog_rounds WHERE challenge_height = ? AND state = 'open'",
        (commitment.device, commitment.gpu, commitment.profile, commitment.rows, commitment.root,
         message.arrived_ms, message.payload, commitment.challenge_height),
    )  # fmt: skip
    if found.rowcount:
        applied.commitments.append(item)
    else:
        detail = f"challenge {commitment.challenge_height} no longer takes commitments"
        applied.refusals.append(Refusal("pog_late", item.topic_id, message.topic, detail))


def count_refusals(connection: sqlite3.Connection, refusals: Sequence[Refusal], now_ms: int) -> None:
    """Count by code and device, and keep the newest for the page."""
    if not refusals:
        return
    counts = Counter((refusal.code, refusal.topic_id) for refusal in refusals)
    connection.executemany(
        "INSERT INTO refusal_counts (code, topic_id, count) VALUES (?,?,?)"
        " ON CONFLICT (code, topic_id) DO UPDATE SET count = count + excluded.count",
        [(*key, count) for key, count in counts.items()],
    )
    connection.executemany(
        "INSERT INTO refusal_log (at_ms, code, topic_id, topic, detail) VALUES (?,?,?,?,?)",
        [(now_ms, item.code, item.topic_id, item.topic, item.detail) for item in refusals[-LOGGED_PER_BATCH:]],
    )
    connection.execute("DELETE FROM refusal_log WHERE id <= (SELECT max(id) FROM refusal_log) - ?", (REFUSAL_LOG_ROWS,))


# --- Loading --------------------------------------------------------------------------------------

_DEVICES: Final = (
    "SELECT device, topic_id, fleet, identity_key, registered_height,"
    " (SELECT max(not_after_ms) FROM certificates WHERE certificates.device = devices.device)"
    " FROM devices WHERE topic_id IN (VALUES {})"
)
_DELEGATIONS: Final = (
    "SELECT device, kid, record_public, boot, not_before_ms, not_after_ms FROM delegations"
    " WHERE (device, kid) IN (VALUES {})"
)
_CHAINS: Final = (
    "SELECT device, chain, next_seq - 1, head_hash, (SELECT max(seq) FROM records"
    " WHERE records.device = record_chains.device AND records.chain = record_chains.chain)"
    " FROM record_chains WHERE (device, chain) IN (VALUES {})"
)
_HASHES: Final = "SELECT device, chain, seq, payload_hash FROM records WHERE (device, chain, seq) IN (VALUES {})"
_ROUNDS: Final = "SELECT challenge_height, profile, state FROM pog_rounds WHERE challenge_height IN (VALUES {})"
_COMMITMENTS: Final = (
    "SELECT challenge_height, device, gpu, root FROM pog_commitments WHERE challenge_height IN (VALUES {})"
)


def _chains(connection: sqlite3.Connection, named: set[tuple[bytes, bytes, int]]) -> dict[ChainKey, Chain]:
    chains: dict[ChainKey, Chain] = {}
    for device, chain, upto_seq, head_hash, highest in _select(connection, _CHAINS, {key[:2] for key in named}):
        state = chains[device, chain] = Chain(upto_seq, head_hash)
        if highest is not None and highest > upto_seq:
            rows = connection.execute(
                "SELECT seq, payload_hash, raw FROM records WHERE device = ? AND chain = ? AND seq > ?",
                (device, chain, upto_seq),
            )
            state.beyond = {seq: Link(payload_hash, _previous(raw)) for seq, payload_hash, raw in rows}
    again = {key for key in named if (known := chains.get(key[:2])) is not None and key[2] <= known.upto_seq}
    for device, chain, seq, payload_hash in _select(connection, _HASHES, again):
        chains[device, chain].known[seq] = payload_hash
    return chains


def _select(connection: sqlite3.Connection, statement: str, keys: Iterable[Any]) -> Iterable[Row]:
    """Rows for all keys (scalars or tuples), in as many statements as SQLite's bound on parameters needs."""
    listed = [key if isinstance(key, tuple) else (key,) for key in keys]
    if not listed:
        return
    width = len(listed[0])
    group = "(" + ",".join("?" * width) + ")"
    step = PARAMETERS_AT_ONCE // width
    for at in range(0, len(listed), step):
        part = listed[at : at + step]
        values = ",".join([group] * len(part))
        yield from connection.execute(statement.format(values), [item for key in part for item in key])


def _record_key(reading: Reading) -> tuple[bytes | None, bytes] | None:
    """(device, kid) of the record key that the message is signed by, or delegates to."""
    if isinstance(reading.content, SignedDelegation):
        return reading.device, reading.content.delegation.key_id
    return None if reading.envelope is None else (reading.device, reading.envelope.kid)


def _height(reading: Reading) -> int | None:
    content = reading.content
    return content.challenge_height if isinstance(content, Commitment | OpeningBody) else None


def _previous(raw: bytes) -> bytes:
    """`prev` of a stored record, which was read strictly before it was stored."""
    return bytes(cbor2.loads(cbor2.loads(raw).value[2])[4])
