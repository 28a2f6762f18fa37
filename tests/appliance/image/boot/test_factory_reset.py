"""The end of an appliance's life, and the next one: its data is gone, it shows a code, and another owner claims it."""

from __future__ import annotations

import json
import mmap
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.image import fat, gpt
from appliance.image.configure import compose, config_offset_bytes, configure
from appliance.reset.mark import ASKED, DONE
from tests.appliance.image.boot.fleet import Fleet
from tests.appliance.image.boot.lanes import LONG
from tests.appliance.image.boot.machine import SCREEN, Machine

BOOT_S, STEP_S = 400, 300
SETTLED_S = 10
"""What the console takes to do as it was told, in an emulator."""
PIN = "4711"
WIPE = ("shift-w", "shift-i", "shift-p", "shift-e")


class Life:
    """A machine that ends and begins again: each reset is asked for in another way. Use its tests in their order."""

    def __init__(self, machine: Machine, fleet: Fleet) -> None:
        self.machine = machine
        self.fleet = fleet
        self.device = ""
        self.moments: dict[str, tuple[float, float]] = {}

    def claim(self, code: str, after: int) -> None:
        self.device = self.fleet.claim(code)["device"]
        self.machine.event("record_accepted", STEP_S, after=after)

    def new_code(self, how: str, after: int, asked_s: float) -> str:
        """The code that the machine shows once it has wiped its data, after the lines before it was asked."""
        said = "factory reset: the data is gone"
        self.machine.until(lambda lines: next((each for each in lines[after:] if said in each), None), BOOT_S, "reset")
        wiped_s = time.monotonic() - asked_s
        code: str = self.machine.event("claim_code", BOOT_S, after=after)["code"]
        self.moments[how] = (wiped_s, time.monotonic() - asked_s)
        return code


@pytest.fixture(scope="module")
def life(image: Path, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    settings = {"hub": {"url": fleet.hub_url, "ca_pin": fleet.ca_pin}, "console": {"pin": PIN}}
    with Machine(tmp_path_factory.mktemp("life") / "machine", image, within=fleet.within) as machine:
        configure(machine.disk, compose(settings))
        machine.switch_on(*SCREEN)
        life = Life(machine, fleet)
        life.claim(machine.event("claim_code", BOOT_S)["code"], 0)
        yield life
    for how, (wiped_s, again_s) in life.moments.items():
        print(f"a reset by {how}: wiped after {wiped_s:.0f} s, new code after {again_s:.0f} s")


def test_the_owners_file_makes_a_claimed_machine_a_new_one(life: Life) -> None:
    machine, first = life.machine, life.device
    machine.switch_off()
    assert device_is_on(machine.disk, first)
    ask_for_reset(machine.disk)
    before, asked_s = machine.lines, time.monotonic()
    machine.switch_on(*SCREEN)
    life.claim(life.new_code("the owner's file", before, asked_s), before)
    assert life.device != first and not device_is_on(machine.disk, first)
    told = what_was_done(machine.disk)
    assert told["method"] in ("overwritten", "discarded") and len(told["volume"]) == 32


def test_a_machine_that_its_hub_lets_go_leaves_the_chain_proves_its_wipe_and_begins_anew(life: Life) -> None:
    second, before, asked_s = life.device, life.machine.lines, time.monotonic()
    life.fleet.decommission(second)
    life.new_code("its hub", before, asked_s)
    ended = life.fleet.device(second)["decommission"]
    assert ended["state"] == "stated" and ended["method"] in ("overwritten", "discarded")
    assert ended["revoked_height"] > 0
    assert not device_is_on(life.machine.disk, second)


@LONG
def test_the_owner_at_the_console_resets_it_with_the_pin_and_nobody_without(life: Life) -> None:
    machine, before = life.machine, life.machine.lines
    picture = Path(os.environ.get("DCCN_PICTURES", machine.folder)) / "console-wrong-pin.png"
    machine.until_drawn(picture, STEP_S)
    time.sleep(SETTLED_S)
    machine.type("6", "down", "down", "down", "ret", *WIPE, "ret", *"0000", "ret")
    time.sleep(SETTLED_S)
    machine.screenshot(picture)
    assert not [line for line in machine.since(before) if "factory reset" in line]
    asked_s = time.monotonic()
    machine.type("ret", *WIPE, "ret", *PIN, "ret")
    life.new_code("the console", before, asked_s)


@LONG
def test_five_presses_of_the_power_button_reset_it(life: Life) -> None:
    before, asked_s = life.machine.lines, time.monotonic()
    life.machine.press_power(5)
    life.new_code("the button", before, asked_s)


def ask_for_reset(disk: Path) -> None:
    """As an owner does who puts an empty file onto the small partition."""
    fat.put(disk, ASKED[0], b"", offset_bytes=config_offset_bytes(disk), epoch_s=int(time.time()))


def what_was_done(disk: Path) -> dict[str, str]:
    told: dict[str, str] = json.loads(fat.get(disk, DONE, offset_bytes=config_offset_bytes(disk)))
    return told


def device_is_on(disk: Path, device: str) -> bool:
    """Whether the machine's old name is anywhere on its data partition: its journal and its files are full of it."""
    with disk.open("rb") as file:
        data = next(each for each in gpt.read(file) if each.label == "data")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(device.encode(), data.offset_bytes) >= 0
