"""What becomes of an update: a good one is kept, a bad one is left, and the hub hears why; times are printed.

One machine lives through all of it, since each start of the emulator costs a minute. Its systems are put onto its disk
from outside while it is off, as an installer would leave them; the last one comes from its hub.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.agent.updates.boot_entries import Entry
from appliance.boots.records import UNOPENED
from appliance.image.configure import compose, configure
from tests.appliance.image.boot import systems
from tests.appliance.image.boot.fleet import Fleet
from tests.appliance.image.boot.lanes import LONG
from tests.appliance.image.boot.machine import Machine
from tests.appliance.releases.office import Office

BOOT_S, STEP_S, INSTALL_S, FALL_BACK_S = 400, 300, 600, 600


class Life:
    """The machine, what it was updated with, and how long things took."""

    def __init__(self, machine: Machine, fleet: Fleet, first: Path, second: Path) -> None:
        self.machine = machine
        self.fleet = fleet
        self.first = first
        self.second = second
        self.moments: dict[str, float] = {}
        self.begun_s = 0.0

    def start(self) -> int:
        """Switch on; where the lines of this start begin."""
        before = self.machine.lines
        self.begun_s = time.monotonic()
        self.machine.switch_on()
        return before

    def took(self, what: str) -> None:
        self.moments[what] = round(time.monotonic() - self.begun_s)

    def wait_for(self, words: str, timeout_s: float, after: int) -> str:
        """The first line from `after` on with these words."""
        return self.machine.until(
            lambda lines: next((line for line in lines[after:] if words in line), None), timeout_s, words
        )

    def wait_for_blessing(self, name: str) -> None:
        deadline = time.monotonic() + 60
        while name not in systems.entries(self.machine.disk):
            assert time.monotonic() < deadline, systems.entries(self.machine.disk)
            time.sleep(1)

    def notice(self, code: str) -> str:
        """What the hub was told last under this code."""
        deadline = time.monotonic() + 60
        while True:
            told = [each["text"] for each in self.fleet.notices() if each["code"] == code]
            if told or time.monotonic() > deadline:
                assert told, f"the hub was not told {code}"
                return str(told[0])
            time.sleep(1)


@pytest.fixture(scope="module")
def life(updating_image: Path, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A claimed machine that runs version 1 from slot A, has proved it, and may start again at any hour."""
    folder = tmp_path_factory.mktemp("life")
    first = updating_image.with_suffix(".update")
    second = systems.other_release(first, folder / "second", "2")
    settings = {"hub": {"url": fleet.hub_url, "ca_pin": fleet.ca_pin}, "updates": {"window": "00:00-00:00"}}
    with Machine(folder / "machine", updating_image, within=fleet.within) as machine:
        configure(machine.disk, compose(settings))
        life = Life(machine, fleet, first, second)
        life.start()
        fleet.claim(machine.event("claim_code", BOOT_S)["code"])
        life.wait_for("version 1 is healthy", STEP_S, 0)
        life.took("first start to healthy")
        machine.event("connected", STEP_S)
        life.wait_for_blessing("dccn_1.efi")
        yield life
    print("updates in an emulator:", {name: f"{seconds:.0f} s" for name, seconds in life.moments.items()})


def test_a_good_update_is_started_from_the_other_slot_and_kept(life: Life) -> None:
    disk = life.machine.disk
    life.machine.switch_off()
    systems.fill_slot(disk, "b", life.second)
    systems.add_entry(disk, "dccn_2+3.efi", (life.second / "kernel.efi").read_bytes())
    before = life.start()
    life.wait_for("version 2 is healthy", BOOT_S, before)
    life.took("good update to healthy")
    life.machine.event("system_kept", STEP_S, after=before)
    life.wait_for_blessing("dccn_2.efi")
    life.machine.switch_off()
    assert systems.entries(disk) == ["dccn_1.efi", "dccn_2.efi"]


def test_a_kernel_image_cut_short_and_a_system_that_panics_are_left_without_anybodys_hand(life: Life) -> None:
    disk, kernel = life.machine.disk, (life.second / "kernel.efi").read_bytes()
    cut_short = Entry("3", left=1), systems.relabelled(kernel, "3")[: len(kernel) // 2]
    panics = Entry("4", left=1), systems.relabelled(kernel, "4", "init=/bin/false")
    for entry, image in (cut_short, panics):
        systems.add_entry(disk, entry.name, image)
    before = life.start()
    line = life.wait_for("version 4 was given up: ", FALL_BACK_S, before)
    life.took("cut short, panic, and the old system started")
    assert "did not reach its check: Kernel panic - not syncing: Attempted to kill init" in line
    life.machine.switch_off()
    spent = [entry.attempted().name for entry, _ in (cut_short, panics)]
    assert systems.entries(disk) == ["dccn_1.efi", "dccn_2.efi", *spent]
    for name in spent:
        systems.remove_entry(disk, name)


@LONG
def test_a_system_that_fails_its_check_is_left_and_the_hub_hears_its_reason(life: Life) -> None:
    disk = life.machine.disk
    kernel = systems.relabelled((life.first / "kernel.efi").read_bytes(), "5", "systemd.mask=dccn-agent.service")
    systems.add_entry(disk, "dccn_5+1.efi", kernel)
    before = life.start()
    life.wait_for("version 5 is unhealthy: agent: it does not run", BOOT_S, before)
    life.took("bad update to its judgement")
    life.begun_s = time.monotonic()
    life.wait_for("version 2 is healthy", FALL_BACK_S, before)
    life.took("judgement to the old system healthy (fall back)")
    told = life.machine.event("update_given_up", STEP_S, after=before)["reason"]
    assert str(told).startswith("agent: it does not run")
    assert "agent: it does not run" in life.notice("update_given_up")
    life.machine.switch_off()
    systems.remove_entry(disk, "dccn_5+0-1.efi")


@LONG
def test_an_update_whose_hub_is_away_stays(life: Life) -> None:
    disk = life.machine.disk
    kernel = systems.relabelled((life.first / "kernel.efi").read_bytes(), "6")
    systems.add_entry(disk, "dccn_6+3.efi", kernel)
    with life.fleet.away():
        before = life.start()
        life.wait_for("version 6 is healthy", BOOT_S, before)
        life.wait_for_blessing("dccn_6.efi")
    life.machine.event("system_kept", STEP_S, after=before)
    life.machine.switch_off()


@LONG
def test_a_root_that_was_tampered_with_is_refused_and_the_other_slots_system_started(life: Life) -> None:
    """One bit of the file system's first block is another, in a system that had proved itself long ago."""
    disk = life.machine.disk
    systems.remove_entry(disk, "dccn_1.efi")
    systems.flip_bit(disk, systems.partition(disk, "root-a").offset_bytes + 1024)
    before = life.start()
    life.wait_for("neither slot has the root hash", BOOT_S, before)
    life.took("a tampered root is refused")
    life.wait_for(f"version 6 was given up: {UNOPENED}", FALL_BACK_S, before)
    life.took("a tampered root is refused, and the other slot's system started")


@LONG
def test_a_release_of_the_hub_is_installed_started_from_the_other_slot_and_kept(
    life: Life, office: Office, tmp_path: Path
) -> None:
    before, life.begun_s = life.machine.lines, time.monotonic()
    office.release(systems.other_release(life.first, tmp_path / "seventh", "7"), 7)
    life.machine.event("connected", STEP_S)
    life.fleet.give_out(office.folder)
    life.wait_for("dccn: updates: restarting", INSTALL_S, before)
    life.took("release at the hub to installed")
    life.wait_for("version 7 is healthy", BOOT_S, before)
    life.took("release at the hub to healthy in the other slot")
    life.wait_for_blessing("dccn_7.efi")
    life.machine.switch_off()
    assert systems.entries(life.machine.disk) == ["dccn_2.efi", "dccn_7.efi"]
