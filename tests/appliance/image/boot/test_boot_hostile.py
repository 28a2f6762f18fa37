"""A machine set up in a hurry: a broken file of settings, a clock that is years off, a full disk."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from appliance.image import fat
from appliance.image.configure import config_offset_bytes
from tests.appliance.image.boot import data_partition
from tests.appliance.image.boot.fleet import Fleet
from tests.appliance.image.boot.machine import Machine

BOOT_S, STEP_S = 400, 300
DATA_BYTES = 192 << 20
PAGE_PORT = 8090


@pytest.mark.timeout(2400)
def test_no_file_no_clock_and_no_full_disk_keeps_a_machine_from_its_work(
    image: Path, fleet: Fleet, tmp_path: Path
) -> None:
    said: dict[str, object] = {}
    disk_bytes = image.stat().st_size + DATA_BYTES
    with Machine(tmp_path / "m", image, within=fleet.within, disk_bytes=disk_bytes, page_port=PAGE_PORT) as machine:
        # Ten megabytes of anything, and a battery that died: it starts, and its page says what is wrong.
        write_settings(machine.disk, bytes(range(256)) * 40_960)
        machine.switch_on("-rtc", "base=2001-01-01T00:00:00")
        machine.event("not_enrolled", BOOT_S)
        said["10 MB of bytes"] = words_of(fleet, "dccn.toml has more than", 60)
        machine.switch_off()

        # From an editor of another system, with a setting that nobody knows; and a clock in the future.
        settings = f'[hub]\r\nurl = "{fleet.hub_url}"\r\nca_pin = "{fleet.ca_pin}"\r\ncolour = "red"\r\n'
        write_settings(machine.disk, b"\xef\xbb\xbf" + settings.encode())
        before = machine.lines
        machine.switch_on("-rtc", "base=2039-06-01T00:00:00")
        claimed = fleet.claim(machine.event("claim_code", BOOT_S, after=before)["code"])
        machine.event("record_accepted", STEP_S, after=before)
        said["an unknown key"] = words_of(fleet, "hub.colour", 60)
        machine.switch_off()

        free = data_partition.fill(machine.disk)
        before = machine.lines
        machine.switch_on()
        said["a full disk"] = words_of(fleet, "disk is full", BOOT_S)
        machine.switch_off()

        data_partition.empty(machine.disk)
        before = machine.lines
        machine.switch_on()
        machine.event("record_accepted", BOOT_S, after=before)
        assert machine.event("agent_started", STEP_S, after=before)["device"] == claimed["device"]
    print("a machine in a hurry:", json.dumps(said), f"{free} blocks filled")


def write_settings(disk: Path, data: bytes) -> None:
    """As any computer would: without a look at what is written."""
    fat.put(disk, "dccn.toml", data, offset_bytes=config_offset_bytes(disk), epoch_s=int(time.time()))


def words_of(fleet: Fleet, part: str, timeout_s: float) -> str:
    """The sentence on the machine's page that has `part` in it."""
    deadline = time.monotonic() + timeout_s
    shown = ""
    while time.monotonic() < deadline:
        shown = fleet.page(PAGE_PORT)
        for piece in shown.replace("<", "\n<").replace(">", ">\n").splitlines():
            if part in piece:
                return piece
        time.sleep(1)
    raise AssertionError(f"no {part!r} within {timeout_s:.0f} s on the page:\n{shown}")
