"""The firmware's log: what is written comes back, and replaying it gives the registers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Refused
from fleet.hub.attestation import event_log
from tests.measured_boot import Boot, boot_of, some_image, uefi_variable

STEPS = st.lists(st.tuples(st.integers(0, 23), st.integers(4, 2**31 - 1), st.binary(max_size=64)), max_size=20)


@given(STEPS)
def test_a_log_reads_back_and_replays_to_what_was_extended(steps: list[tuple[int, int, bytes]]) -> None:
    boot = Boot()
    for pcr, kind, data in steps:
        boot.measure(pcr, kind, data)
    events = event_log.parse(boot.log)
    assert [(event.pcr, event.kind, event.data) for event in events] == steps
    assert all(event.is_of_its_data for event in events)
    assert all(event_log.replay(events, pcr) == boot.register(pcr) for pcr in range(24))


def test_every_truncation_inside_an_event_is_refused() -> None:
    log = boot_of(some_image()).log
    whole = set()
    for end in range(len(log)):
        try:
            whole.add(len(event_log.parse(log[:end])))
        except Refused:
            continue
    assert whole == set(range(len(boot_of(some_image()).steps))), "only cuts between events are logs"


@given(st.binary(max_size=300))
def test_any_bytes_after_the_description_are_read_or_refused(data: bytes) -> None:
    head = Boot().log
    for log in (data, head + data):
        try:
            event_log.secure_boot(event_log.parse(log))
        except Refused:
            continue


def test_an_unused_tail_of_the_firmwares_buffer_ends_the_log() -> None:
    boot = boot_of(some_image())
    assert len(event_log.parse(boot.log + b"\xff" * 64)) == len(boot.steps)


@pytest.mark.parametrize(("value", "on"), [(b"\1", True), (b"\0", False), (b"", False), (b"\1\1", False)])
def test_secure_boot_is_on_only_where_its_variable_is_one(value: bytes, on: bool) -> None:
    boot = Boot()
    boot.measure(7, 0x80000001, uefi_variable("SecureBoot", value))
    assert event_log.secure_boot(event_log.parse(boot.log)) is on


def test_a_variable_that_its_digest_does_not_cover_says_nothing() -> None:
    boot = Boot()
    boot.measure(7, 0x80000001, uefi_variable("SecureBoot", b"\1"), digest=b"d" * 32)
    assert not event_log.secure_boot(event_log.parse(boot.log))


def test_a_log_without_sha256_or_in_the_old_format_is_refused() -> None:
    good = Boot().log
    for bad in (
        b"",
        b"\0" * 32,
        good.replace(b"Spec ID Event03", b"Spec ID Event02"),
        good.replace(b"\x0b\0", b"\x0c\0"),
    ):
        with pytest.raises(Refused):
            event_log.parse(bad)
