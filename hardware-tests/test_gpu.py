"""Each graphics card: no errors counted or logged, whole memory, its full bus, and no throttling but for its power."""

from __future__ import annotations

import re

import pytest

from appliance.acceptance import cuda
from appliance.acceptance.probe import MEMORY_PART, Probe
from appliance.doctor.checks.gpu_errors import FATAL
from chain.errors import DccnError, Unavailable

pytestmark = pytest.mark.needs_gpu
BAD_REASONS = {0x08: "hardware slowdown", 0x20: "heat", 0x40: "heat (hardware)", 0x80: "the power brake"}
"""NVML's throttle reasons that a sound card in a sound machine never has; its power limit is none of them."""


def each(probe: Probe):
    """(PCI address, NVML, handle) of each card."""
    return probe.cards()


def test_every_card_on_the_bus_answers(probe: Probe) -> None:
    answering = {address for address, _nvml, _handle in each(probe)}
    assert answering == set(probe.machine.pci_cards())


def test_no_card_counted_an_uncorrected_error(probe: Probe, measured) -> None:
    for address, nvml, handle in each(probe):
        try:
            count = nvml.nvmlDeviceGetTotalEccErrors(
                handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_AGGREGATE_ECC
            )
        except nvml.NVMLError:
            measured(address, "it does not count them")
            continue
        measured(address, count)
        assert count == 0, f"{address} counted {count} uncorrected memory errors"


def test_no_card_has_memory_rows_that_failed_or_wait(probe: Probe) -> None:
    for address, nvml, handle in each(probe):
        try:
            _corrected, uncorrected, waits, failed = nvml.nvmlDeviceGetRemappedRows(handle)
        except nvml.NVMLError:
            continue  # cards for games have no spare rows to remap
        assert not failed, f"{address} could not replace a row of its memory"
        assert not waits, f"{address} waits for a reset to replace a row of its memory"
        assert uncorrected == 0, f"{address} replaced {uncorrected} rows after uncorrected errors"


def test_the_kernel_logged_no_fatal_error_of_a_card(probe: Probe) -> None:
    log = probe.kernel_log()
    if log is None:
        pytest.skip("the kernel's log cannot be read")
    logged = [int(xid) for xid in re.findall(r"NVRM: Xid \(PCI:[0-9A-Fa-f:.]+\): (\d{1,4})\b", log)]
    fatal = [f"Xid {xid}: {FATAL[xid]}" for xid in logged if xid in FATAL]
    assert fatal == []


def test_the_memory_of_every_card_keeps_what_is_written(probe: Probe, measured) -> None:
    try:
        library = cuda.load_library()
    except Unavailable as error:
        pytest.skip(error.message)
    for address, _nvml, _handle in each(probe):
        try:
            tried, wrong = cuda.memory_errors(address, MEMORY_PART[probe.level], library)
        except DccnError as error:
            pytest.fail(f"{address}: {error.message}")
        measured(address, f"{tried >> 20} MiB")
        assert wrong == 0, f"{address}: {wrong} bytes of {tried} came back wrong"


def test_no_card_is_slowed_down_but_by_its_power_limit(probe: Probe, measured) -> None:
    for address, nvml, handle in each(probe):
        reasons = int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
        measured(address, f"0x{reasons:x}, {nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)} °C")
        bad = [text for bit, text in BAD_REASONS.items() if reasons & bit]
        assert bad == [], f"{address} is slowed down by {', '.join(bad)}"


def test_every_card_has_its_whole_bus(probe: Probe, measured) -> None:
    """Lanes are what a bad riser costs; the generation falls when a card idles, so the most it can is compared."""
    models = {wanted.name: wanted for wanted in probe.profile.cards} if probe.profile is not None else {}
    for address, nvml, handle in each(probe):
        name = nvml.nvmlDeviceGetName(handle)
        name = name.decode() if isinstance(name, bytes) else name
        lanes, most = nvml.nvmlDeviceGetCurrPcieLinkWidth(handle), nvml.nvmlDeviceGetMaxPcieLinkWidth(handle)
        generation = nvml.nvmlDeviceGetMaxPcieLinkGeneration(handle)
        measured(address, f"{lanes} of {most} lanes, generation {generation}")
        wanted = next((model for part, model in models.items() if part in name), None)
        assert lanes >= (wanted.pcie_lanes if wanted is not None else most), f"{address} has {lanes} of {most} lanes"
        assert wanted is None or generation >= wanted.pcie_generation
