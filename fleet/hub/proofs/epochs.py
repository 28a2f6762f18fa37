"""What a reward epoch's batch says: which record is which leaf with which share of work, and one entry per owner.

Pure, integers only. A leaf's sum is its contribution to the owner's work: a device's proven work, split over its
records of the epoch so that nothing is lost to rounding. A record that came too late for its own epoch still gets a
leaf in the next batch, so that every receipt ends in some root, but it carries the sum 0 and is no heartbeat.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chain.proofs.batch import BatchLeaf, share_out
from chain.wire.bodies import BatchEntry

SLOT_PARTS: Final = (3, 4)
"""A record counts as a heartbeat when it ends at least 3/4 of an interval after the last one that counted."""


@dataclass(frozen=True, slots=True)
class Span:
    """A reward epoch: number, first millisecond, and the first millisecond after it."""

    reward_epoch: int
    start_ms: int
    end_ms: int

    def holds(self, time_ms: int) -> bool:
        return self.start_ms <= time_ms < self.end_ms


@dataclass(frozen=True, slots=True)
class RecordRow:
    """An accepted record, not yet in any batch. `to_ms` is the end of its interval; `raw` the whole COSE_Sign1."""

    device: bytes
    chain: bytes
    seq: int
    to_ms: int
    raw: bytes

    @property
    def key(self) -> tuple[bytes, bytes, int]:
        return self.device, self.chain, self.seq


@dataclass(frozen=True, slots=True)
class PogOutcome:
    """One GPU's answer to the epoch's challenge."""

    device: bytes
    ok: bool


@dataclass(frozen=True, slots=True)
class EpochReport:
    """The leaves in tree order, and the entries ascending by owner; the leaves' and the entries' sums agree."""

    span: Span
    leaves: tuple[BatchLeaf, ...]
    entries: tuple[BatchEntry, ...]

    @property
    def sum(self) -> int:
        return sum(entry.work for entry in self.entries)


def report(
    span: Span,
    records: Iterable[RecordRow],
    outcomes: Iterable[PogOutcome],
    work: Mapping[bytes, int],
    owners: Mapping[bytes, bytes],
    interval_ms: int,
) -> EpochReport:
    """Put an epoch together.

    `work` is each device's proven work in micro-ANKR per hour (missing: 0), `owners` its owner's 20 bytes; a device
    without an owner is left out. Work without a record of the epoch counts nothing: there is no leaf to stand for it.
    """
    mine = sorted((row for row in records if row.device in owners), key=lambda row: row.key)
    in_time: dict[bytes, list[RecordRow]] = defaultdict(list)
    for row in mine:
        if span.holds(row.to_ms):
            in_time[row.device].append(row)
    shares = {
        row.key: part
        for device, rows in in_time.items()
        for row, part in zip(rows, share_out(work.get(device, 0), len(rows)), strict=True)
    }
    leaves = tuple(BatchLeaf(*row.key, shares.get(row.key, 0), row.raw) for row in mine)
    return EpochReport(span, leaves, _entries(span, in_time, outcomes, work, owners, interval_ms))


def count_heartbeats(ends_ms: Sequence[int], interval_ms: int) -> int:
    """How many of these records count: crowding more of them into the same time gains nothing."""
    counted, last = 0, None
    for end_ms in sorted(ends_ms):
        if last is None or (end_ms - last) * SLOT_PARTS[1] >= interval_ms * SLOT_PARTS[0]:
            counted, last = counted + 1, end_ms
    return counted


def _entries(
    span: Span,
    in_time: Mapping[bytes, Sequence[RecordRow]],
    outcomes: Iterable[PogOutcome],
    work: Mapping[bytes, int],
    owners: Mapping[bytes, bytes],
    interval_ms: int,
) -> tuple[BatchEntry, ...]:
    expected = max(1, (span.end_ms - span.start_ms) // interval_ms)
    totals: dict[bytes, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for device, rows in in_time.items():
        total = totals[owners[device]]
        total[0] += min(expected, count_heartbeats([row.to_ms for row in rows], interval_ms))
        total[1] += expected
        total[4] += work.get(device, 0)
    for outcome in outcomes:
        if outcome.device in owners:
            totals[owners[outcome.device]][2 if outcome.ok else 3] += 1
    return tuple(
        BatchEntry(owner, valid, due, passed, failed, None, proven)
        for owner, (valid, due, passed, failed, proven) in sorted(totals.items())
    )
