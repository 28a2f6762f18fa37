"""Every accepted record is in exactly one batch, whenever the hub was killed and whatever became of a transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from chain.crypto import merkle_sum
from chain.crypto.keys import PrivateKey
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import open_record, sign_record
from chain.wire.bodies import ProofBatch, read_proof_batch
from fleet.hub.actions.desk import Desk
from fleet.hub.chain.outbox import row_of
from fleet.hub.chain.rules import ChainRules
from fleet.hub.proofs.batches import BatchService
from fleet.protocol.topics import topic_id

GENESIS_MS = 1_790_000_000_000
PRICES = {f"price_{name}_uankr_h": 0 for name in ("vram_gib", "cpu_core", "ram_gib", "disk_gib", "bandwidth_mbit")} | {
    "price_pog_teraop_uankr_h": 1_000_000
}
PARAMETERS = {"reward_epoch_s": 3, "pog_period_epochs": 2, "pog_window_s": 3, "record_interval_ms": 1_000,
              "block_interval_ms": 500} | PRICES  # fmt: skip
RULES = ChainRules("batches-1", "00" * 32, GENESIS_MS * 1_000_000, PARAMETERS)
KEY = PrivateKey.from_secret("ed25519", b"k" * 32)
OWNER = b"o" * 20


@dataclass
class Hub:
    desk: Desk
    clock: Any
    connection: sqlite3.Connection
    records: RecordChain
    batches: BatchService

    def restart(self) -> None:
        self.batches = BatchService(self.desk, RULES, account=KEY.public, hub=b"h" * 20, wake_sender=lambda: None)

    def accept(self, at_ms: int, epoch: int | None = None) -> None:
        """What ingest stores of a record that ends at `at_ms` after genesis."""
        record = self.records.draft(boot=b"b" * 16, from_ms=GENESIS_MS, to_ms=GENESIS_MS + at_ms, host={})
        signed = sign_record(record, KEY, "batches-1")
        opened = open_record(signed)
        self.records.advance(opened.record, opened.hash)
        self.connection.execute(
            "INSERT INTO records (device, chain, seq, received_ms, reward_epoch, payload_hash, raw)"
            " VALUES (?,?,?,0,?,?,?)",
            (record.device, record.chain, record.seq, at_ms // 3_000 if epoch is None else epoch, opened.hash, signed),
        )

    def passed(self, height: int, epoch: int, rate: int) -> None:
        self.connection.execute(
            "INSERT INTO pog_results (challenge_height, device, gpu, reward_epoch, profile, ok, rows_checked,"
            " elapsed_ms, operations_per_s, checked_ms) VALUES (?,?,'cpu',?,'test',1,16,1,?,0)",
            (height, self.records.device, epoch, rate),
        )

    def step(self, at_ms: int, unsettled: int = 0) -> None:
        """The hub's thread at `at_ms` after genesis."""
        self.clock.now_ms = GENESIS_MS + at_ms
        self.batches.step(self.connection, GENESIS_MS + at_ms - 300, 100, unsettled)

    def sent(self, epoch: int) -> ProofBatch | None:
        row = row_of(self.connection, f"batch/{epoch}")
        return None if row is None else read_proof_batch(row.transaction.body)

    def settle(self, epoch: int, state: str, height: int | None) -> None:
        self.connection.execute(
            "UPDATE outbox SET state = ?, height = ?, tx_hash = ? WHERE subject = ?",
            (state, height, sha256(b"%d" % epoch).digest(), f"batch/{epoch}"),
        )

    def leaves(self) -> list[tuple[int, int]]:
        """(epoch, seq) of every leaf."""
        return self.connection.execute("SELECT reward_epoch, seq FROM batch_leaves ORDER BY seq").fetchall()


@pytest.fixture
def hub(desk: Desk, clock: Any) -> Iterator[Hub]:
    device = sha256(b"device").digest()
    with contextlib.closing(desk.store.connect()) as connection:
        connection.execute(
            "INSERT INTO devices (device, topic_id, fleet, identity_key, enrolled_ms, enrolled_by, owner,"
            " registered_height) VALUES (?,?,'home',x'',0,'token',?,1)",
            (device, topic_id(device), OWNER),
        )
        hub = Hub(desk, clock, connection, RecordChain(device, b"c" * 16), None)  # type: ignore[arg-type]
        hub.restart()
        yield hub


def test_an_epoch_is_batched_after_its_grace_and_waits_for_an_open_round(hub: Hub) -> None:
    hub.accept(3_500)
    hub.step(6_500)
    assert hub.sent(1) is None
    hub.step(6_800, unsettled=1)
    assert hub.sent(1) is None
    hub.step(7_500, unsettled=1)
    assert hub.sent(1) is not None


def test_the_batch_carries_the_median_rate_as_work_split_over_the_leaves(hub: Hub) -> None:
    for at_ms in (3_500, 4_500, 5_500):
        hub.accept(at_ms)
    for height, rate in ((1, 10 * 10**12), (2, 70 * 10**12), (3, 50 * 10**12)):
        hub.passed(height, 1, rate)
    hub.step(6_800)
    batch = hub.sent(1)
    assert batch is not None and batch.sum == 50_000_000
    (entry,) = batch.entries
    assert (entry.owner, entry.heartbeats_valid, entry.heartbeats_expected, entry.pog_passed) == (OWNER, 3, 3, 3)
    sums = hub.connection.execute("SELECT leaf_sum FROM batch_leaves ORDER BY position").fetchall()
    assert sorted(int(s) for (s,) in sums) == [16_666_666, 16_666_667, 16_666_667]


@pytest.mark.parametrize(("epochs_later", "counts"), [(4, True), (5, False)])
def test_a_rate_counts_for_two_periods_after_the_last_pass(hub: Hub, epochs_later: int, counts: bool) -> None:
    hub.passed(1, 1, 10**12)
    hub.accept(3_000 * (1 + epochs_later) + 500)
    hub.step(3_000 * (2 + epochs_later) + 800)
    batch = hub.sent(1 + epochs_later)
    assert batch is not None and (batch.sum > 0) is counts


def test_a_hub_killed_after_the_commit_does_not_batch_twice(hub: Hub) -> None:
    hub.accept(3_500)
    hub.step(6_800)
    first = hub.sent(1)
    hub.accept(3_600, epoch=2)
    hub.restart()
    hub.step(6_900)
    assert hub.sent(1) == first
    assert hub.leaves() == [(1, 0)]


def test_a_late_record_goes_into_the_next_batch_and_earns_nothing(hub: Hub) -> None:
    hub.passed(1, 1, 10**12)
    hub.accept(3_500)
    hub.step(6_800)
    hub.accept(3_600, epoch=2)
    hub.step(9_800)
    batch = hub.sent(2)
    assert hub.leaves() == [(1, 0), (2, 1)]
    assert batch is not None and (batch.count, batch.sum, batch.entries) == (1, 0, ())


def test_epochs_missed_while_the_hub_was_away_are_made_up_in_one_batch(hub: Hub) -> None:
    for at_ms in (3_500, 6_500, 9_500, 12_500):
        hub.accept(at_ms)
    hub.step(15_800)
    assert hub.leaves() == [(4, 0), (4, 1), (4, 2), (4, 3)]


@pytest.mark.parametrize("was_signed", [True, False])
def test_the_records_of_a_batch_that_no_block_took_go_into_a_later_one(hub: Hub, was_signed: bool) -> None:
    hub.accept(3_500)
    hub.step(6_800)
    hub.settle(1, "failed", None)
    if not was_signed:  # it expired while no node answered, so it never got a nonce, a signature and a hash
        hub.connection.execute("UPDATE outbox SET tx_hash = NULL, nonce = NULL")
    hub.step(6_900)
    assert hub.leaves() == []
    hub.accept(6_950)
    hub.step(9_800)
    assert hub.leaves() == [(2, 0), (2, 1)]


def test_a_record_can_be_shown_to_be_in_its_batch_once_a_block_holds_it(hub: Hub, published: list[Any]) -> None:
    for at_ms in (3_500, 4_500, 5_500):
        hub.accept(at_ms)
    hub.step(6_800)
    name = topic_id(hub.records.device)
    assert hub.batches.inclusion(hub.connection, name, b"c" * 16, 1) is None
    hub.settle(1, "included", 40)
    hub.step(6_900)
    found = hub.batches.inclusion(hub.connection, name, b"c" * 16, 1)
    assert found is not None and (found.reward_epoch, found.height, found.count) == (1, 40, 3)
    leaf = merkle_sum.Leaf(found.leaf_sum, found.record)
    assert merkle_sum.verify(found.root, found.total, leaf, found.index, found.count, found.path)
    assert open_record(found.record).record.seq == 1
    assert [type(event).__name__ for event in published] == ["BatchSent", "BatchIncluded"]


def test_an_epoch_without_records_sends_nothing(hub: Hub) -> None:
    hub.step(6_800)
    assert hub.connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
