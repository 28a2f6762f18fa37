"""Processor and memory under load: every result is checked, and the memory controller counts no error."""

from __future__ import annotations

import os
import re
import shutil

import pytest

from appliance.acceptance.burn import memory_errors, processor_errors
from appliance.acceptance.probe import MEMORY_PART, SPARE_S, Probe

MIB = 1 << 20
OWN_PART = 4
"""Our own pattern is slow: it takes a quarter of what a tool would."""


def counted_errors(probe: Probe) -> dict[str, int]:
    """Corrected and uncorrected memory errors since the boot, by memory controller."""
    found = {}
    for controller in probe.machine.names("sys/devices/system/edac/mc"):
        for kind in ("ce_count", "ue_count"):
            count = probe.machine.number(f"sys/devices/system/edac/mc/{controller}/{kind}")
            if count is not None:
                found[f"{controller}/{kind}"] = count
    return found


def available_mib(probe: Probe) -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", probe.machine.text("proc/meminfo") or "", re.MULTILINE)
    assert found, "the kernel does not tell how much memory is available"
    return int(found[1]) // 1024


def test_the_processor_computes_right_under_load(probe: Probe, measured) -> None:
    load = ["stress-ng", "--cpu", "0", "--cpu-method", "all", "--verify", "--timeout", f"{probe.load_s}s"]
    answer = probe.run([*load, "--metrics-brief"], probe.load_s)
    if answer.code is not None:
        measured("with", "stress-ng")
        assert answer.code == 0, answer.out[-600:]
        return
    rounds, wrong = processor_errors(probe.load_s, os.cpu_count() or 1)
    measured("with", f"{rounds} rounds of hashes")
    assert wrong == 0


def test_the_memory_keeps_what_is_written(probe: Probe, measured) -> None:
    mib = int(available_mib(probe) * MEMORY_PART[probe.level])
    load = ["stressapptest", "-s", str(probe.load_s), "-M", str(max(mib, 16)), "-W"]
    answer = probe.run(load, probe.load_s)
    if answer.code is not None:
        measured("with", f"stressapptest over {mib} MiB")
        assert answer.code == 0 and "Status: PASS" in answer.out, answer.out[-600:]
        return
    mib = max(mib // OWN_PART, 16)
    measured("with", f"patterns over {mib} MiB")
    assert memory_errors(mib * MIB) == 0


@pytest.mark.needs_edac
def test_the_memory_controller_counted_no_errors(probe: Probe, measured) -> None:
    counts = counted_errors(probe)
    measured("counted", counts)
    assert not any(counts.values()), "errors of the memory: seat the modules again, or replace them"


def test_the_kernel_saw_no_machine_check(probe: Probe) -> None:
    log = probe.kernel_log()
    if log is None:
        pytest.skip("the kernel's log cannot be read")
    lines = [line for line in log.splitlines() if re.search(r"\bmce: \[Hardware Error\]|\[Hardware Error\]: ", line)]
    assert lines == [], lines[:3]


@pytest.mark.burnin
def test_many_loads_at_once_find_no_fault(probe: Probe, measured) -> None:
    """Everything at once draws the most power: what fails here and nowhere else is the power supply."""
    if shutil.which("stress-ng") is None:
        pytest.skip("stress-ng is not installed")
    load = ["stress-ng", "--cpu", "0", "--vm", "2", "--vm-bytes", "60%", "--verify", "--timeout", f"{probe.load_s}s"]
    answer = probe.run(load, probe.load_s + SPARE_S)
    assert answer.code == 0, answer.out[-600:]
