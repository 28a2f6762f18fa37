"""Heat and fans under load: below every limit, without throttling, and the fans turn."""

from __future__ import annotations

import os
import re

import pytest

from appliance.acceptance.burn import processor_errors
from appliance.acceptance.probe import Probe


def throttle_counts(probe: Probe) -> int:
    """How often the processor's cores have slowed themselves down for heat, since the boot."""
    folder = "sys/devices/system/cpu"
    cores = [name for name in probe.machine.names(folder) if re.fullmatch(r"cpu\d+", name)]
    counts = [probe.machine.number(f"{folder}/{core}/thermal_throttle/core_throttle_count") for core in cores]
    return sum(count for count in counts if count is not None)


def load(probe: Probe) -> None:
    answer = probe.run(["stress-ng", "--cpu", "0", "--timeout", f"{probe.load_s}s"], probe.load_s)
    if answer.code is None:
        processor_errors(probe.load_s, os.cpu_count() or 1)


@pytest.mark.needs_sensor
def test_no_sensor_reaches_its_limit_under_load(probe: Probe, measured) -> None:
    load(probe)
    readings = probe.temperatures()
    for name, now, critical in readings:
        measured(name, f"{now / 1000:.0f} of {critical / 1000:.0f} °C")
    too_hot = [name for name, now, critical in readings if now >= critical]
    assert too_hot == []


def test_the_processor_is_not_slowed_down_by_heat(probe: Probe, measured) -> None:
    before = throttle_counts(probe)
    load(probe)
    after = throttle_counts(probe)
    measured("throttled", after - before)
    assert after == before, "the processor slows itself down: clean its cooler, renew its paste"


@pytest.mark.needs_fan
def test_every_fan_of_the_model_turns(probe: Probe, measured) -> None:
    fans = probe.fans()
    for name, turns in fans:
        measured(name, turns)
    wanted = probe.profile.fans if probe.profile is not None else 1
    turning = [name for name, turns in fans if turns > 0]
    assert len(turning) >= wanted, f"{len(turning)} of {wanted} fans turn"
