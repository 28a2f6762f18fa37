"""A network without DHCP: the machine has the owner's address, router, name and time server, and reaches its hub."""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.image.configure import compose, configure
from chain.lifeline import spawn, stop
from tests.appliance.image.boot import time_server
from tests.appliance.image.boot.fleet import Fleet
from tests.appliance.image.boot.machine import Machine
from tests.waiting import wait_until

BOOT_S, STEP_S = 400, 300
PAGE_PORT = 8091
# QEMU's network: 10.0.2.2 is its router and this side's loopback, 10.0.2.15 what DHCP would have given.
ADDRESS, ROUTER = "10.0.2.77", "10.0.2.2"
NAME = "box-in-the-attic"


def test_a_machine_with_a_fixed_address_sets_its_clock_by_the_owners_time_server(
    image: Path, fleet: Fleet, tmp_path: Path
) -> None:
    network = {"hostname": NAME, "address": f"{ADDRESS}/24", "gateway": ROUTER, "dns": [ROUTER], "ntp": [ROUTER]}
    asked = tmp_path / "asked"
    with (
        asked.open("wb") as said,
        Machine(tmp_path / "m", image, within=fleet.within, page_port=PAGE_PORT, address=ADDRESS) as machine,
    ):
        server = spawn([*fleet.within, sys.executable, time_server.__file__], stdout=said)
        try:
            configure(
                machine.disk, compose({"hub": {"url": fleet.hub_url, "ca_pin": fleet.ca_pin}, "network": network})
            )
            machine.switch_on("-rtc", "base=2001-01-01T00:00:00")
            shown = machine.event("claim_code", BOOT_S)
            wait_until(lambda: shown["code"] in fleet.page(PAGE_PORT), STEP_S)
            assert NAME in fleet.page(PAGE_PORT)
            machine.until(lambda lines: "NTPSynchronized=yes" in "".join(lines) or None, STEP_S, "synchronised clock")
            assert "asked" in asked.read_text()
        finally:
            stop(server)
    print("a fixed address, and a time server that was asked:", asked.read_text().split())
