"""A batch counts what was proven, once, and to the last unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.hub.proofs.epochs import PogOutcome, RecordRow, Span, count_heartbeats, report

SPAN = Span(7, 21_000, 24_000)
OWNERS = {bytes([d]) * 32: bytes([d % 2]) * 20 for d in range(4)}

rows = st.builds(
    RecordRow,
    device=st.integers(0, 4).map(lambda d: bytes([d]) * 32),
    chain=st.sampled_from([b"a" * 16, b"b" * 16]),
    seq=st.integers(0, 9),
    to_ms=st.integers(20_000, 25_000),
    raw=st.binary(max_size=4),
)
some_rows = st.lists(rows, unique_by=lambda row: row.key, max_size=40)


@given(some_rows, st.dictionaries(st.sampled_from(list(OWNERS)), st.integers(0, 2**60)))
def test_leaves_and_entries_add_up_to_the_same_work(records: list[RecordRow], work: dict[bytes, int]) -> None:
    made = report(SPAN, records, [], work, OWNERS, 1_000)
    assert sum(leaf.work for leaf in made.leaves) == sum(entry.work for entry in made.entries) == made.sum
    working = {row.device for row in records if SPAN.holds(row.to_ms)}
    assert made.sum == sum(amount for device, amount in work.items() if device in working)


@given(some_rows)
def test_every_record_of_an_owned_device_is_one_leaf_in_order(records: list[RecordRow]) -> None:
    made = report(SPAN, records, [], {}, OWNERS, 1_000)
    keys = [leaf.order for leaf in made.leaves]
    assert keys == sorted(row.key for row in records if row.device in OWNERS)


@given(some_rows)
def test_nobody_has_more_heartbeats_than_are_expected(records: list[RecordRow]) -> None:
    for entry in report(SPAN, records, [], {}, OWNERS, 1_000).entries:
        assert 0 < entry.heartbeats_valid <= entry.heartbeats_expected


def test_a_late_record_gets_a_leaf_that_earns_nothing() -> None:
    device = bytes([1]) * 32
    late = RecordRow(device, b"a" * 16, 0, SPAN.start_ms - 1, b"late")
    timely = RecordRow(device, b"a" * 16, 1, SPAN.start_ms, b"timely")
    made = report(SPAN, [timely, late], [], {device: 10}, OWNERS, 1_000)
    assert [(leaf.raw, leaf.work) for leaf in made.leaves] == [(b"late", 0), (b"timely", 10)]
    assert made.entries[0].heartbeats_valid == 1


def test_passed_and_failed_challenges_are_counted_for_the_owner_of_each_gpu() -> None:
    first, second, foreign = (bytes([d]) * 32 for d in (0, 2, 9))
    outcomes = [PogOutcome(first, True), PogOutcome(first, False), PogOutcome(second, True), PogOutcome(foreign, True)]
    (entry,) = report(SPAN, [], outcomes, {}, OWNERS, 1_000).entries
    assert (entry.owner, entry.pog_passed, entry.pog_failed) == (bytes(20), 2, 1)


@pytest.mark.parametrize(
    ("ends_ms", "counted"),
    [([], 0), ([1_000], 1), ([1_000, 2_050, 2_950, 4_000], 4), ([1_000, 1_001, 1_002, 1_003], 1), ([1_000, 1_750], 2)],
)
def test_records_crowded_into_one_interval_are_one_heartbeat(ends_ms: list[int], counted: int) -> None:
    assert count_heartbeats(ends_ms, 1_000) == counted
