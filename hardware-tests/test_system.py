"""The system as a whole: everything that should run runs, and the kernel has nothing to complain about."""

from __future__ import annotations

import re

import pytest

from appliance.acceptance.probe import Probe

TAINTED_BY = {
    4: "a processor error",
    5: "a bad page of memory",
    7: "a crash of the kernel",
    9: "a warning of the kernel",
}


def test_no_unit_has_failed(probe: Probe) -> None:
    answer = probe.machine.ask(["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"])
    if answer.code != 0:
        pytest.skip("there is no systemd to ask")
    assert [line.split()[0] for line in answer.out.splitlines() if line.strip()] == []


def test_the_kernel_is_not_tainted_by_a_fault(probe: Probe) -> None:
    bits = probe.machine.number("proc/sys/kernel/tainted")
    if bits is None:
        pytest.skip("the kernel does not tell")
    assert [text for bit, text in TAINTED_BY.items() if bits >> bit & 1] == []


def test_no_disk_gave_the_kernel_an_error(probe: Probe) -> None:
    log = probe.kernel_log()
    if log is None:
        pytest.skip("the kernel's log cannot be read")
    lines = [line for line in log.splitlines() if re.search(r"\b(I/O|critical medium) error, dev (?!fd|sr|loop)", line)]
    assert lines == [], lines[:3]
