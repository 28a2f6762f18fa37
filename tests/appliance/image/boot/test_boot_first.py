"""The first life of an appliance: it shows a code, is claimed, works, and is the same machine after a power cut."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from appliance.image.configure import compose, configure
from tests.appliance.image.boot.fleet import Fleet
from tests.appliance.image.boot.machine import SCREEN, Machine

BOOT_S, STEP_S = 400, 300
PAGE_PORT = 8090
LOOK_S = 30
EXPOSURE_MAX = 2.0


def test_from_the_first_boot_to_the_first_accepted_record_and_through_a_power_cut(
    image: Path, fleet: Fleet, tmp_path: Path
) -> None:
    moments: dict[str, float] = {}
    with Machine(tmp_path / "machine", image, within=fleet.within, page_port=PAGE_PORT) as machine:
        configure(machine.disk, compose({"hub": {"url": fleet.hub_url, "ca_pin": fleet.ca_pin}}))
        begun_s = time.monotonic()
        machine.switch_on(*SCREEN)
        shown = machine.event("claim_code", BOOT_S)
        moments["claim code"] = time.monotonic() - begun_s
        assert len(shown["code"].replace("-", "")) == 8
        take_pictures(fleet, machine, tmp_path, shown["code"])
        claimed = fleet.claim(shown["code"])
        enrolled = machine.event("enrolled", STEP_S)
        assert enrolled["device"] == claimed["device"]
        machine.event("registered", STEP_S)
        machine.event("record_accepted", STEP_S)
        moments["first accepted record"] = time.monotonic() - begun_s

        machine.event("pog_committed", STEP_S)
        moments["first answered challenge"] = time.monotonic() - begun_s
        show_figures(machine)

        assert machine.failed_units() == []
        machine.switch_off()
        before, begun_s = machine.lines, time.monotonic()
        machine.switch_on()
        machine.event("connected", BOOT_S, after=before)
        assert machine.event("agent_started", STEP_S, after=before)["device"] == claimed["device"]
        machine.event("record_accepted", STEP_S, after=before)
        assert machine.failed_units(after=before) == []
        moments["accepted record after a power cut"] = time.monotonic() - begun_s
    print("an appliance in an emulator:", {name: f"{seconds:.0f} s" for name, seconds in moments.items()})


def show_figures(machine: Machine) -> None:
    """What the agent's unit takes while it works, from two looks half a minute apart, and how exposed it is."""
    after = machine.lines
    memory = machine.until(lambda lines: _numbers(lines[after:], r"MemoryCurrent=(\d+)", 2), STEP_S, "figures")[-1]
    first, last = machine.until(lambda lines: _numbers(lines[after:], r"CPUUsageNSec=(\d+)", 2), STEP_S, "figures")[-2:]
    exposure = machine.until(
        lambda lines: _numbers(lines[after:], r"exposure level .*: (\d+\.\d)", 1), STEP_S, "exposure"
    )
    print(
        f"the agent's unit, prover included: {memory / 1e6:.1f} MB,"
        f" {(last - first) / 1e9 / LOOK_S:.1%} of an emulated core, exposure {exposure[-1]}"
    )
    assert exposure[-1] <= EXPOSURE_MAX


def _numbers(lines: list[str], pattern: str, count: int) -> list[float] | None:
    found = [float(match[1]) for line in lines if (match := re.search(pattern, line))]
    return found if len(found) >= count else None


def take_pictures(fleet: Fleet, machine: Machine, folder: Path, code: str) -> None:
    """Screen and page as the owner sees them now; DCCN_PICTURES names the folder of the documents' own."""
    folder = Path(os.environ.get("DCCN_PICTURES", folder))
    deadline = time.monotonic() + STEP_S
    while code not in fleet.page(PAGE_PORT):
        assert time.monotonic() < deadline, "the page does not show the claim code"
        time.sleep(1)
    fleet.page_picture(PAGE_PORT, folder / "appliance-page.png")
    # The console draws itself later than the page.
    machine.until_drawn(folder / "appliance-screen.png", STEP_S)
    time.sleep(5)
    machine.screenshot(folder / "appliance-screen.png")
