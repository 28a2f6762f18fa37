"""An appliance with a TPM: data sealed to it, boots that the hub believes, and one that it does not."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path

from appliance import uki
from appliance.image import disk, gpt
from appliance.image.configure import compose, configure
from appliance.image.profile import load
from tests import swtpm
from tests.appliance.image.boot.fleet import Fleet
from tests.appliance.image.boot.machine import Machine

BOOT_S, STEP_S = 400, 300


def test_data_is_sealed_boots_are_believed_and_a_changed_command_line_is_not(
    image: Path, fleet: Fleet, tmp_path: Path
) -> None:
    believe(fleet, image)
    state = swtpm.manufactured(tmp_path)
    swtpm.forgives_nothing(state)
    with (
        swtpm.soldered(state) as devices,
        Machine(tmp_path / "machine", image, within=fleet.within, devices=devices) as machine,
    ):
        configure(machine.disk, compose({"hub": {"url": fleet.hub_url, "ca_pin": fleet.ca_pin}}))
        machine.switch_on()
        claimed = fleet.claim(machine.event("claim_code", BOOT_S)["code"])
        assert machine.event("identity_opened", STEP_S)["held_by"] == "the TPM"
        attested = machine.event("attested", STEP_S)
        assert attested["image"] == json.loads(image.with_suffix(".json").read_text())["measured"]["name"]
        assert fleet.device(claimed["device"])["evidence_level"] == 3
        machine.event("record_accepted", STEP_S)
        machine.switch_off()
        assert data_partition(machine.disk).startswith(b"LUKS\xba\xbe")
        assert b"systemd-tpm2" in data_partition(machine.disk)

        before = machine.lines
        machine.switch_on()
        assert machine.event("agent_started", BOOT_S, after=before)["device"] == claimed["device"]
        machine.event("attested", STEP_S, after=before)
        machine.event("record_accepted", STEP_S, after=before)
        machine.switch_off()

        append_to_command_line(machine.disk, " dccn.intruder=1")
        before = machine.lines
        machine.switch_on()
        refused = machine.event("attestation_failed", BOOT_S, after=before)
        assert refused["code"] == "boot_unknown"
        assert ".cmdline" in refused["reason"]
        line = fleet.device(claimed["device"])
        assert line["evidence_level"] < 3
        assert line["attestation"]["reason"] == refused["reason"]
    print("attested:", attested, "\nrefused:", refused["reason"])


def believe(fleet: Fleet, image: Path) -> None:
    """As the hub's admin does with the file that came with an image."""
    folder = fleet.folder / "hub/attestation/images"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image.json").write_bytes(image.with_suffix(".json").read_bytes())


def data_partition(path: Path) -> bytes:
    """Its first MiB, with the header that says how it is encrypted."""
    listed = json.loads(subprocess.check_output(["sfdisk", "--json", path]))["partitiontable"]["partitions"]
    start = next(each["start"] for each in listed if each["name"] == "data")
    with path.open("rb") as file:
        file.seek(start * gpt.SECTOR_BYTES)
        return file.read(1 << 20)


def append_to_command_line(path: Path, words: str) -> None:
    """What somebody does who has the disk in hand: Secure Boot is off, so the machine starts it."""
    esp = next(each for each in disk.layout(load("qemu-test")) if each.label == "esp")
    where = f"{path}@@{esp.offset_bytes}"
    kernels = subprocess.check_output(["mdir", "-b", "-i", where, "::EFI/Linux"], text=True).split()
    kernel = path.parent / "kernel.efi"
    subprocess.run(["mcopy", "-o", "-i", where, kernels[0], str(kernel)], check=True)
    whole = bytearray(kernel.read_bytes())
    line = next(each for each in uki.sections_of(whole) if each.name == ".cmdline")
    changed = (uki.content(whole, ".cmdline") or b"").rstrip(b"\0") + words.encode() + b"\0"
    assert len(changed) <= line.raw_bytes, "the section has room for a few words more"
    whole[line.offset : line.offset + len(changed)] = changed
    struct.pack_into("<I", whole, whole.index(b".cmdline") + 8, len(changed))  # the section's length in its header
    kernel.write_bytes(whole)
    subprocess.run(["mcopy", "-o", "-i", where, str(kernel), kernels[0]], check=True)
