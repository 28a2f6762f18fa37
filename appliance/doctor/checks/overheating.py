"""Whether a card slows itself down because of heat, and whether any sensor is at its critical temperature."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine

THERMAL_REASONS: Final = 0x20 | 0x40
"""NVML's nvmlClocksThrottleReasonSwThermalSlowdown and …HwThermalSlowdown."""
CRITICAL_MILLIDEGREES: Final = 100_000
"""For a sensor that does not say what is critical."""
SENSIBLE_MILLIDEGREES: Final = (1_000, 150_000)
"""A reading outside of this is a sensor that is not connected."""


def check(machine: Machine) -> list[Finding]:
    cards = [_card(address, nvml, handle) for address, nvml, handle in machine.nvml_cards()]
    measured = list(sensors(machine))
    hot = [each for each in measured if each[1] >= each[2]]
    findings = cards + [
        problem("machine_hot", f"{name} is at {now / 1000:.0f} °C, critical are {critical / 1000:.0f} °C", name)
        for name, now, critical in hot
    ]
    if not measured:
        return [*findings, unknown("there is no temperature sensor", "machine_hot")]
    if not hot:
        name, now, critical = max(measured, key=lambda each: each[1] - each[2])
        findings.append(well(f"nearest to its limit is {name} with {now / 1000:.0f} °C of {critical / 1000:.0f} °C"))
    return findings


def _card(address: str, nvml: Any, handle: Any) -> Finding:
    try:
        degrees = int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        reasons = int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
    except nvml.NVMLError:
        return unknown(f"the card {address} does not tell its temperature", "gpu_hot", address)
    limit = None
    with suppress(nvml.NVMLError, AttributeError):
        limit = int(nvml.nvmlDeviceGetTemperatureThreshold(handle, nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN))
    if reasons & THERMAL_REASONS or (limit is not None and degrees >= limit):
        return problem("gpu_hot", f"the card {address} is at {degrees} °C and slows itself down", address)
    return well(f"the card {address} is at {degrees} °C" + (f" of {limit} °C" if limit is not None else ""))


def sensors(machine: Machine) -> Iterator[tuple[str, int, int]]:
    """(name, millidegrees now, critical millidegrees) of every sensor under /sys/class/hwmon that measures."""
    for chip in machine.names("sys/class/hwmon"):
        folder = f"sys/class/hwmon/{chip}"
        kind = machine.text(f"{folder}/name") or chip
        for file in machine.names(folder):
            if not file.startswith("temp") or not file.endswith("_input"):
                continue
            stem = f"{folder}/{file.removesuffix('_input')}"
            now, critical = machine.number(f"{stem}_input"), machine.number(f"{stem}_crit")
            if now is None or not SENSIBLE_MILLIDEGREES[0] <= now <= SENSIBLE_MILLIDEGREES[1]:
                continue
            if critical is None or not 0 < critical <= SENSIBLE_MILLIDEGREES[1]:
                critical = CRITICAL_MILLIDEGREES
            yield f"{kind}/{machine.text(f'{stem}_label') or file.removesuffix('_input')}", now, critical
