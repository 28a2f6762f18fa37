"""The loader stands in the firmware's boot order once more than a system has tries; what is there is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from appliance.agent.updates.boot_entries import TRIES
from appliance.boots.firmware import LABELS, keep_entries

PARTITION = "1f8a6dd2-5d4e-5d3c-9d53-0f1a3c6f7e21"


class Firmware:
    """Takes entries as efibootmgr does: a new one becomes the first of the order."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.order: list[str] = []
        self.others = ["Boot0000* UiApp\tFvVol(7cb8bdc9)/FvFile(462caa21)", "Boot0001* UEFI Misc Device\tPciRoot(0x0)"]

    def run(self, argv: Sequence[str]) -> tuple[int, str]:
        assert argv[0] == "efibootmgr"
        if argv[1] == "--verbose":
            place = f"HD(1,GPT,{PARTITION.upper()},0x800,0x50000)/File(\\EFI\\systemd\\systemd-bootx64.efi)"
            ours = [f"Boot{number + 2:04X}* {label}\t{place}" for number, label in enumerate(self.order)]
            return self.status, "\n".join(["BootCurrent: 0001", "Timeout: 0 seconds", *self.others, *ours]) + "\n"
        assert list(argv[2:6]) == ["--disk", "/dev/vda", "--part", "1"]
        self.order.insert(0, argv[-1])
        return self.status, ""


def _root(folder: Path) -> Path:
    device = folder / "sys/devices/pci/block/vda/vda1"
    device.mkdir(parents=True)
    (device / "partition").write_text("1\n")
    (folder / "sys/class/block").mkdir(parents=True)
    (folder / "sys/class/block/vda1").symlink_to(device)
    (folder / "dev/disk/by-partuuid").mkdir(parents=True)
    (folder / "dev/vda1").touch()
    (folder / f"dev/disk/by-partuuid/{PARTITION}").symlink_to(folder / "dev/vda1")
    return folder


def test_a_machine_gets_one_entry_more_than_a_system_has_tries_in_their_order(tmp_path: Path) -> None:
    firmware = Firmware()
    assert keep_entries(PARTITION, firmware.run, _root(tmp_path)) == []
    assert firmware.order == list(LABELS) and len(LABELS) == TRIES + 1


def test_entries_that_are_there_are_not_written_again(tmp_path: Path) -> None:
    firmware = Firmware()
    root = _root(tmp_path)
    keep_entries(PARTITION, firmware.run, root)
    firmware.order.remove("dccn 2")
    keep_entries(PARTITION, firmware.run, root)
    assert sorted(firmware.order) == list(LABELS)


def test_entries_of_another_disk_are_none_of_ours(tmp_path: Path) -> None:
    firmware = Firmware()
    firmware.others += [f"Boot00A{number}* {label}\tHD(1,GPT,00000000)" for number, label in enumerate(LABELS)]
    keep_entries(PARTITION, firmware.run, _root(tmp_path))
    assert firmware.order == list(LABELS)


def test_a_firmware_that_takes_nothing_is_told_and_stops_no_boot(tmp_path: Path) -> None:
    assert keep_entries(PARTITION, Firmware(status=1).run, _root(tmp_path)) == [
        "the firmware's boot order cannot be read"
    ]
    assert keep_entries("0" * 36, Firmware().run, tmp_path) == ["there is no disk for the boot partition " + "0" * 36]
