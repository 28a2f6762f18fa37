"""The network: links of full speed, addresses, no errors counted, a hub within reach, and a clock that is right."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

from appliance.acceptance.probe import Probe
from appliance.doctor.checks import clock
from appliance.doctor.checks.network import VIRTUAL, addresses

ERRORS = ("rx_errors", "tx_errors", "rx_crc_errors", "collisions")
FEW_IN_A_MILLION = 10


def linked(probe: Probe) -> list[str]:
    names = [name for name in probe.machine.names("sys/class/net") if not name.startswith(VIRTUAL)]
    return [name for name in names if probe.machine.text(f"sys/class/net/{name}/carrier") == "1"]


def test_a_network_interface_has_a_link_and_an_address(probe: Probe, measured) -> None:
    wires = linked(probe)
    measured("links", ", ".join(wires))
    assert wires, "no interface has a link"
    found = addresses(probe.machine, wires)
    assert found is None or found, "no interface has an address"


@pytest.mark.needs_profile
def test_the_link_has_the_models_speed(probe: Probe, measured) -> None:
    speeds = {name: probe.machine.number(f"sys/class/net/{name}/speed") for name in linked(probe)}
    measured("mbit", speeds)
    known = [speed for speed in speeds.values() if speed is not None and speed > 0]
    if not known:
        pytest.skip("no driver tells the speed of its link")
    assert max(known) >= probe.profile.network.speed_mbit


def test_next_to_no_packet_is_lost_on_the_wire(probe: Probe, measured) -> None:
    for name in linked(probe):
        folder = f"sys/class/net/{name}/statistics"
        errors = sum(probe.machine.number(f"{folder}/{each}") or 0 for each in ERRORS)
        packets = sum(probe.machine.number(f"{folder}/{each}") or 0 for each in ("rx_packets", "tx_packets"))
        measured(name, f"{errors} errors in {packets} packets")
        assert errors * 1_000_000 <= FEW_IN_A_MILLION * max(packets, 1_000_000), f"{name}: a bad cable, plug or port"


@pytest.mark.needs_hub
def test_the_hub_is_within_reach(probe: Probe, measured) -> None:
    parts = urlsplit(probe.machine.status.hub_url)
    started = time.monotonic()
    assert probe.machine.connects((parts.hostname, parts.port or 443)), "the hub takes no connection"
    milliseconds = (time.monotonic() - started) * 1000
    measured("milliseconds", f"{milliseconds:.0f}")
    assert milliseconds <= probe.limits.hub_latency_ms


@pytest.mark.needs_hub
def test_the_clock_agrees_with_the_hubs(probe: Probe, measured) -> None:
    offset_ms = probe.machine.status.clock_offset_ms
    if offset_ms is None:
        pytest.skip("the agent has not compared the clocks yet")
    measured("milliseconds", offset_ms)
    assert abs(offset_ms) <= probe.limits.clock_offset_ms


def test_a_time_server_keeps_the_clock(probe: Probe) -> None:
    said = probe.machine.ask(clock.SYNCHRONISED).out.strip()
    if said not in ("yes", "no"):
        pytest.skip("timedatectl cannot tell")
    assert said == "yes"
