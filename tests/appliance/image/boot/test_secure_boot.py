"""An appliance with Secure Boot: its firmware takes our keys, starts what they signed, and nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from appliance.image import disk, measurement, secure_boot
from appliance.image.configure import compose, configure
from appliance.image.profile import load
from tests import swtpm
from tests.appliance.image.boot.conftest import EPOCH_S
from tests.appliance.image.boot.fleet import Fleet
from tests.appliance.image.boot.machine import FIRMWARE, Machine

BOOT_S, STEP_S = 500, 300
NAME = "qemu-test 1, signed"
REFUSALS = ("access denied", "security violation")


def test_our_keys_are_enrolled_the_signed_image_starts_and_an_unsigned_one_does_not(
    image: Path, fleet: Fleet, tmp_path: Path
) -> None:
    signed = sign(image, tmp_path, fleet)
    with (
        swtpm.soldered(swtpm.manufactured(tmp_path)) as devices,
        Machine(
            tmp_path / "machine",
            signed,
            within=fleet.within,
            devices=devices,
            firmware=FIRMWARE / "OVMF_CODE_4M.secboot.fd",
        ) as machine,
    ):
        configure(machine.disk, compose({"hub": {"url": fleet.hub_url, "ca_pin": fleet.ca_pin}}))
        machine.switch_on()  # enrols the keys and starts again
        claimed = fleet.claim(machine.event("claim_code", BOOT_S)["code"])
        attested = machine.event("attested", STEP_S)
        assert (attested["image"], attested["secure_boot"]) == (NAME, True)
        assert fleet.device(claimed["device"])["attestation"]["secure_boot"]
        machine.switch_off()

        unsigned = image.with_suffix(".update") / "kernel.efi"
        where = f"{machine.disk}@@{esp().offset_bytes}"
        (kernel,) = subprocess.check_output(["mdir", "-b", "-i", where, "::EFI/Linux"], text=True).split()
        subprocess.run(["mcopy", "-o", "-i", where, str(unsigned), kernel], check=True)
        before = machine.lines
        machine.switch_on()
        machine.until(lambda lines: refusal(lines[before:]), BOOT_S, "refusal of the unsigned kernel image")
        assert not any("agent_started" in line for line in machine.until(lambda lines: lines[before:], 1, "lines"))


def sign(image: Path, folder: Path, fleet: Fleet) -> Path:
    """The image once more, its parts put together as the builder does it with keys; the hub gets to know it."""
    keys = secure_boot.make_keys(folder / "keys")
    parts, plain = image.with_suffix(".update"), folder / "loader.efi"
    where = f"{image}@@{esp().offset_bytes}"
    subprocess.run(["mcopy", "-o", "-i", where, "::EFI/BOOT/BOOTX64.EFI", str(plain)], check=True)
    kernel_image = keys.sign((parts / "kernel.efi").read_bytes(), EPOCH_S)
    boot_loader = keys.sign(plain.read_bytes(), EPOCH_S)
    contents = disk.Contents(
        "1",
        parts / "root.erofs",
        parts / "root.verity",
        kernel_image,
        boot_loader,
        b"",
        keys=keys.enrolment(),
        enrols_keys=True,
    )
    signed = folder / "signed.img"
    disk.assemble(signed, load("qemu-test"), contents, EPOCH_S)
    known = fleet.folder / "hub/attestation/images"
    known.mkdir(parents=True, exist_ok=True)
    (known / "signed.json").write_text(json.dumps(measurement.measure(NAME, kernel_image, boot_loader).document()))
    return signed


def esp() -> disk.gpt.Partition:
    return next(each for each in disk.layout(load("qemu-test")) if each.label == "esp")


def refusal(lines: list[str]) -> str | None:
    """What the boot loader prints when the firmware does not let it start a program."""
    return next((line for line in lines if any(word in line.lower() for word in REFUSALS)), None)
