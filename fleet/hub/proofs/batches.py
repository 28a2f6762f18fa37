"""Epoch batches: from the records and results in the store to a transaction in the outbox, once per reward epoch."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Final

import cbor2

from chain.crypto.keys import PublicKey
from chain.proofs.batch import Batch, BatchLeaf, build_batch
from chain.proofs.pog.rate import RATE_WINDOW, median_rate
from chain.wire.bodies import proof_batch
from chain.wire.state import reference_work
from fleet.hub.actions.desk import Desk
from fleet.hub.actions.events import BatchIncluded, BatchSent
from fleet.hub.chain.outbox import enqueue, row_of
from fleet.hub.chain.rules import ChainRules
from fleet.hub.ports import Inclusion
from fleet.hub.proofs.epochs import PogOutcome, RecordRow, Span, report

GRACE_PARTS: Final = 4
"""A batch waits a quarter of an epoch for stragglers, …"""
GRACE_MAX_MS: Final = 5_000
"""… but not longer than this, …"""
DEADLINE_PARTS: Final = 2
"""… and half an epoch for PoG rounds that are not settled, since it must be in a block before the next boundary."""
RATE_PERIODS: Final = 2
"""A median rate counts for this many challenge periods after the last pass."""
TREES_KEPT: Final = 4
FOLLOWED_EPOCHS: Final = 100
"""How far back a batch without a block is still looked after; its transaction expires long before."""


class BatchService:
    """Belongs to the proofs' thread, but for `inclusion`, which any thread may call with its own connection."""

    def __init__(
        self,
        desk: Desk,
        rules: ChainRules,
        *,
        account: PublicKey,
        hub: bytes,
        wake_sender: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._rules = rules
        self._account = account
        self._hub = hub
        self._wake_sender = wake_sender
        self._done = -1
        self._trees: dict[int, Batch] = {}

    def step(self, connection: sqlite3.Connection, chain_time_ms: int, newest_height: int, unsettled: int) -> None:
        """Build the batch of the epoch that ended last, when it is time; then see what became of earlier ones.

        `chain_time_ms` is the newest header's time, `unsettled` counts open PoG rounds whose challenge is in that
        epoch.
        """
        epoch = self._rules.epoch_at(chain_time_ms) - 1
        if epoch > self._done and epoch >= 0 and self._is_time(epoch, unsettled):
            if self._build(connection, epoch, newest_height):
                self._wake_sender()
            self._done = epoch
        self._follow_up(connection, epoch)

    def inclusion(self, connection: sqlite3.Connection, topic_id: str, chain: bytes, seq: int) -> Inclusion | None:
        """Where a record stands in a batch that is in a block."""
        row = connection.execute(
            "SELECT l.reward_epoch, l.position, b.height, b.tx_hash"
            " FROM batch_leaves l JOIN batches b USING (reward_epoch) JOIN devices d ON d.device = l.device"
            " WHERE d.topic_id = ? AND l.chain = ? AND l.seq = ? AND b.height IS NOT NULL",
            (topic_id, chain, seq),
        ).fetchone()
        if row is None:
            return None
        reward_epoch, position, height, tx_hash = row
        batch = self.tree(connection, reward_epoch)
        found = batch.inclusion(position)
        return Inclusion(
            reward_epoch=reward_epoch,
            height=height,
            tx_hash=tx_hash,
            root=found.root,
            count=found.count,
            total=found.sum,
            index=found.index,
            leaf_sum=found.leaf_sum,
            record=batch.leaves[position].raw,
            path=list(found.path),
        )

    def _is_time(self, epoch: int, unsettled: int) -> bool:
        since_ms = self._desk.now_ms() - self._rules.epoch_start_ms(epoch + 1)
        grace_ms = min(GRACE_MAX_MS, self._rules.reward_epoch_ms // GRACE_PARTS)
        return since_ms >= (self._rules.reward_epoch_ms // DEADLINE_PARTS if unsettled else grace_ms)

    def _build(self, connection: sqlite3.Connection, epoch: int, newest_height: int) -> bool:
        """Batch, leaves and outbox row in one transaction; False when nothing was proven, or it was built before."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            built = self._write(connection, epoch, newest_height)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return built

    def _write(self, connection: sqlite3.Connection, epoch: int, newest_height: int) -> bool:
        (last,) = connection.execute("SELECT coalesce(max(reward_epoch), -1) FROM batches").fetchone()
        if last >= epoch:
            return False
        start_ms = self._rules.epoch_start_ms(epoch)
        made = report(
            Span(epoch, start_ms, start_ms + self._rules.reward_epoch_ms),
            _records(connection, last + 1, epoch),
            _outcomes(connection, last + 1, epoch),
            self._work(connection, epoch),
            dict(connection.execute("SELECT device, owner FROM devices WHERE owner IS NOT NULL").fetchall()),
            self._rules.record_interval_ms,
        )
        if not made.leaves:
            return False
        batch = build_batch(made.leaves)
        now_ms = self._desk.now_ms()
        connection.execute(
            "INSERT INTO batches (reward_epoch, root, count, bytes, sum, created_ms) VALUES (?,?,?,?,?,?)",
            (epoch, batch.root, batch.count, batch.size_bytes, str(batch.sum), now_ms),
        )
        connection.executemany(
            "INSERT INTO batch_leaves (reward_epoch, position, device, chain, seq, leaf_sum) VALUES (?,?,?,?,?,?)",
            [(epoch, at, *leaf.order, str(leaf.work)) for at, leaf in enumerate(batch.leaves)],
        )
        blocks = self._rules.reward_epoch_ms // self._rules.parameters["block_interval_ms"] + 2
        enqueue(
            connection,
            kind="proof_batch",
            subject=_subject(epoch),
            content=proof_batch(batch.proof_batch(self._hub, epoch, made.entries)),
            sender=self._account,
            valid_until_height=newest_height + blocks,
            now_ms=now_ms,
        )
        return True

    def _work(self, connection: sqlite3.Connection, epoch: int) -> dict[bytes, int]:
        """Each device's proven work in micro-ANKR per hour: the median rates of its GPUs, while they count."""
        oldest = epoch - RATE_PERIODS * self._rules.parameters["pog_period_epochs"]
        passing = connection.execute(
            "SELECT device, gpu FROM pog_results WHERE ok AND reward_epoch BETWEEN ? AND ? GROUP BY device, gpu",
            (oldest, epoch),
        ).fetchall()
        rates: dict[bytes, int] = {}
        for device, gpu in passing:
            last = connection.execute(
                "SELECT operations_per_s FROM pog_results WHERE ok AND device = ? AND gpu = ? AND reward_epoch <= ?"
                " ORDER BY challenge_height DESC LIMIT ?",
                (device, gpu, epoch, RATE_WINDOW),
            )
            rates[device] = rates.get(device, 0) + median_rate([rate for (rate,) in last])
        parameters = self._rules.parameters
        return {device: reference_work(parameters, pog_ops_per_s=rate) for device, rate in rates.items()}

    def _follow_up(self, connection: sqlite3.Connection, epoch: int) -> None:
        """Note hashes and heights of batches that were sent; give back the records of one that was refused."""
        waiting = connection.execute(
            "SELECT reward_epoch, count, tx_hash FROM batches WHERE height IS NULL AND count AND reward_epoch >= ?",
            (epoch - FOLLOWED_EPOCHS,),
        ).fetchall()
        for reward_epoch, count, tx_hash in waiting:
            row = row_of(connection, _subject(reward_epoch))
            if row is None:
                continue
            if row.tx_hash is not None and row.tx_hash != tx_hash:
                connection.execute("UPDATE batches SET tx_hash = ? WHERE reward_epoch = ?", (row.tx_hash, reward_epoch))
                sent = {"reward_epoch": reward_epoch, "count": count, "tx_hash": row.tx_hash.hex()}
                with self._desk.change() as change:
                    change.emit(BatchSent(at_ms=change.at_ms, **sent))
            if row.state == "included" and row.height is not None:
                connection.execute("UPDATE batches SET height = ? WHERE reward_epoch = ?", (row.height, reward_epoch))
                with self._desk.change() as change:
                    change.emit(BatchIncluded(at_ms=change.at_ms, reward_epoch=reward_epoch, height=row.height))
            elif row.state == "failed":  # also one that expired while no node answered: it never got a hash
                _give_back(connection, reward_epoch)

    def tree(self, connection: sqlite3.Connection, reward_epoch: int) -> Batch:
        """The batch as it was built; the last few are kept, since devices ask about many records of one epoch."""
        batch = self._trees.get(reward_epoch)
        if batch is None:
            rows = connection.execute(
                "SELECT l.device, l.chain, l.seq, l.leaf_sum, r.raw FROM batch_leaves l"
                " JOIN records r USING (device, chain, seq) WHERE l.reward_epoch = ?",
                (reward_epoch,),
            )
            batch = build_batch(BatchLeaf(device, chain, seq, int(work), raw) for device, chain, seq, work, raw in rows)
            if len(self._trees) >= TREES_KEPT:
                self._trees = {}
            self._trees[reward_epoch] = batch
        return batch


def _records(connection: sqlite3.Connection, first_epoch: int, last_epoch: int) -> Iterable[RecordRow]:
    rows = connection.execute(
        "SELECT device, chain, seq, raw FROM records WHERE reward_epoch BETWEEN ? AND ?", (first_epoch, last_epoch)
    )
    return [RecordRow(device, chain, seq, _end_ms(raw), raw) for device, chain, seq, raw in rows]


def _outcomes(connection: sqlite3.Connection, first_epoch: int, last_epoch: int) -> Iterable[PogOutcome]:
    rows = connection.execute(
        "SELECT device, ok FROM pog_results WHERE reward_epoch BETWEEN ? AND ?", (first_epoch, last_epoch)
    )
    return [PogOutcome(device, bool(ok)) for device, ok in rows]


def _give_back(connection: sqlite3.Connection, reward_epoch: int) -> None:
    """Let a later batch take the records of one that no block will hold."""
    connection.execute(
        "UPDATE records SET reward_epoch = (SELECT max(reward_epoch) + 1 FROM batches) WHERE (device, chain, seq) IN"
        " (SELECT device, chain, seq FROM batch_leaves WHERE reward_epoch = ?)",
        (reward_epoch,),
    )
    connection.execute("DELETE FROM batch_leaves WHERE reward_epoch = ?", (reward_epoch,))
    connection.execute("UPDATE batches SET count = 0 WHERE reward_epoch = ?", (reward_epoch,))


def _end_ms(raw: bytes) -> int:
    """`to_ms` of a stored record, which was read strictly before it was stored."""
    return int(cbor2.loads(cbor2.loads(raw).value[2])[7])


def _subject(reward_epoch: int) -> str:
    return f"batch/{reward_epoch}"
