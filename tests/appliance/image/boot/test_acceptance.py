"""The hardware tests on an emulated machine: a second disk (NVMe), a TPM, a watchdog; their report reaches the hub.

The machine's network has no time server. Its tests find exactly that, and so does its doctor, which tries what may be
tried, through the root helper, and tells the hub.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from appliance.image import build, profile
from appliance.image.configure import compose, configure
from chain.engines.cometbft.binary import cache
from tests import swtpm
from tests.appliance.image.boot.conftest import EPOCH_S, NEEDED
from tests.appliance.image.boot.fleet import Fleet
from tests.appliance.image.boot.machine import Machine
from tests.waiting import wait_until

pytestmark = pytest.mark.acceptance
BOOT_S, TESTS_S, STEP_S, DOCTOR_S = 600, 900, 300, 600
SEEN = {
    "test_inventory": "test_all_disks_are_there_and_whole",
    "test_processor_and_memory": "test_the_memory_keeps_what_is_written",
    "test_work": "test_a_challenge_is_answered_and_its_proof_verifies",
    "test_storage": "test_no_nvme_disk_reports_a_fault",
    "test_network": "test_a_network_interface_has_a_link_and_an_address",
    "test_tpm": "test_a_quote_of_it_verifies",
    "test_watchdog": "test_it_is_armed",
    "test_system": "test_the_kernel_is_not_tainted_by_a_fault",
}
"""What must really have run here, one of each suite for which the emulator has the hardware."""
LACKING = "test_network.test_a_time_server_keeps_the_clock"


@pytest.fixture(scope="module")
def acceptance_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built here, or the one that DCCN_ACCEPTANCE_IMAGE names."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.geteuid():
        pytest.skip(f"building an image takes root and {', '.join(missing) or 'nothing more'}: make acceptance-test")
    named = os.environ.get("DCCN_ACCEPTANCE_IMAGE")
    if named:
        return Path(named)
    made, folder = profile.load("qemu-acceptance"), tmp_path_factory.mktemp("acceptance")
    built = build.build(made, folder, cache() / "image", version="1", epoch_s=EPOCH_S, say=print, compress=False)
    return Path(built.image)


def emulated_hardware(folder: Path) -> tuple[str, ...]:
    """An NVMe disk of its own, with a SMART log, and a watchdog that starts a hanging machine again."""
    disk = folder / "nvme.img"
    with disk.open("wb") as file:
        file.truncate(1 << 30)
    return (
        *("-drive", f"if=none,id=nvme,format=raw,file={disk},cache=unsafe"),
        *("-device", "nvme,drive=nvme,serial=hardware-test"),
        *("-device", "i6300esb", "-action", "watchdog=reset"),
    )


@pytest.mark.timeout(1800)
def test_a_machine_is_tested_and_treated_and_the_hub_has_the_signed_report_and_the_problem(
    acceptance_image: Path, fleet: Fleet, tmp_path: Path
) -> None:
    hardware = emulated_hardware(tmp_path)
    with (
        swtpm.soldered(swtpm.manufactured(tmp_path)) as tpm,
        Machine(tmp_path / "machine", acceptance_image, within=fleet.within, devices=(*tpm, *hardware)) as machine,
    ):
        configure(machine.disk, compose({"hub": {"url": fleet.hub_url, "ca_pin": fleet.ca_pin}}))
        machine.switch_on()
        device = fleet.claim(machine.event("claim_code", BOOT_S)["code"])["device"]
        told = machine.event("acceptance_report", TESTS_S)
        assert [each.partition(":")[0] for each in told["failures"]] == [LACKING], told["failures"]
        assert machine.event("acceptance_delivered", STEP_S)["failed"] == 1
        tried = machine.event("repair_tried", DOCTOR_S)
        assert (tried["kind"], tried["repair"], tried["outcome"]) == ("clock_unsynchronised", "set-clock", "done")
        # The machine prints what was tried before it tells the hub.
        wait_until(lambda: fleet.problems(device)[0]["attempts"], STEP_S)
    (problem,) = fleet.problems(device)
    assert problem["kind"] == "clock_unsynchronised"
    assert problem["attempts"][0]["repair"] == "set-clock"
    (report,) = fleet.acceptances(device)
    assert (report["profile"], report["level"], report["is_passed"]) == ("qemu", "quick", False)
    outcomes = {each["test"]: each["outcome"] for each in report["results"]}
    wanted = {f"{suite}.{name}": "passed" for suite, name in SEEN.items()}
    assert {test: outcomes.get(test) for test in wanted} == wanted
    left_out = {each["test"]: each["said"] for each in report["results"] if each["outcome"] == "skipped"}
    print("hardware tests in an emulator:", json.dumps(told), "\nleft out:", json.dumps(left_out, indent=1))
