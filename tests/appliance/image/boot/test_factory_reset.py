"""The end of an appliance's life, and the next one: its data is gone, it shows a code, and another owner claims it."""

from __future__ import annotations

import json
import mmap
import time
from pathlib import Path

import pytest

from appliance.image import fat, gpt
from appliance.image.configure import compose, config_offset_bytes, configure
from appliance.reset.mark import ASKED, DONE
from tests.appliance.image.boot.fleet import Fleet
from tests.appliance.image.boot.machine import Machine

BOOT_S, STEP_S = 400, 300


def test_the_owners_file_makes_a_claimed_machine_a_new_one(
    image: Path, fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Machine(tmp_path / "machine", image, within=fleet.within) as machine:
        configure(machine.disk, compose({"hub": {"url": fleet.hub_url, "ca_pin": fleet.ca_pin}}))
        machine.switch_on()
        first = fleet.claim(machine.event("claim_code", BOOT_S)["code"])["device"]
        machine.event("record_accepted", STEP_S)
        machine.switch_off()
        assert device_is_on(machine.disk, first)

        ask_for_reset(machine.disk)
        before, begun_s = machine.lines, time.monotonic()
        machine.switch_on()
        machine.until(lambda lines: _said(lines[before:], "factory reset: the data is gone"), BOOT_S, "reset")
        wiped_s = time.monotonic() - begun_s
        shown = machine.event("claim_code", BOOT_S, after=before)
        again_s = time.monotonic() - begun_s
        second = fleet.claim(shown["code"])["device"]
        machine.event("record_accepted", STEP_S, after=before)
        machine.switch_off()
        told = what_was_done(machine.disk)
        assert second != first and not device_is_on(machine.disk, first)
        assert told["method"] in ("overwritten", "discarded") and len(told["volume"]) == 32
    with capsys.disabled():
        print(f"\na factory reset: data {told['method']} after {wiped_s:.0f} s, new code after {again_s:.0f} s")


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


def _said(lines: list[str], words: str) -> str | None:
    return next((line for line in lines if words in line), None)
