"""Flashing a real block device, and refusing the wrong one."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from appliance.image import configure, disks, fat, flash, gpt
from appliance.image.profile import MIB
from chain.errors import Faulty, Malformed, Refused
from dccn.main import app

SIZE_MIB = 64
EPOCH_S = 1_767_225_600


def said_nothing(_done: int, _total: int, _what: str) -> None:
    """Nobody looks at this bar."""


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small disk of our own kind: a slot with content, an empty slot, and DCCNCFG."""
    path = tmp_path_factory.mktemp("image") / "small.img"
    placed = gpt.place(
        [
            gpt.Wanted("root-a", gpt.ROOT_X86_64, 9 * MIB),
            gpt.Wanted("root-b", gpt.ROOT_X86_64, 9 * MIB),
            gpt.Wanted(configure.CONFIG_LABEL, gpt.BASIC_DATA, 34 * MIB),
        ],
        uuid.UUID(int=7),
    )
    config = path.with_name("config")
    fat.make(config, placed[2].size_bytes, configure.CONFIG_LABEL, 0xDCC00002, {"dccn.toml": b"# nothing\n"}, EPOCH_S)
    with path.open("wb") as disk:
        sectors = gpt.disk_sectors(placed)
        disk.truncate(sectors * gpt.SECTOR_BYTES)
        gpt.write(disk, placed, sectors, uuid.UUID(int=8))
        disk.seek(placed[0].offset_bytes)
        disk.write(os.urandom(5 * MIB))
        disk.seek(placed[2].offset_bytes)
        disk.write(config.read_bytes())
    return path


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A block device on which something else stood: every byte of it is 0xAA."""
    backing = tmp_path / "disk"
    backing.write_bytes(b"\xaa" * (SIZE_MIB * MIB))
    if os.geteuid() != 0:
        pytest.skip("a loop device takes root")
    attached = subprocess.run(
        ["losetup", "--find", "--show", str(backing)], capture_output=True, text=True, check=True
    ).stdout.strip()
    yield Path(attached)
    subprocess.run(["losetup", "--detach", attached], check=True)


def equal_but_for_the_empty_slot(image: Path, device: Path) -> bool:
    with image.open("rb") as file:
        empty = next(each for each in gpt.read(file) if each.label == "root-b")
        file.seek(0)
        wanted = file.read()
    with device.open("rb") as file:
        found = file.read(len(wanted))
    start, end = empty.offset_bytes, empty.offset_bytes + empty.size_bytes
    return wanted[:start] == found[:start] and wanted[end:] == found[end:]


@pytest.mark.parametrize("packed", [False, True])
def test_an_image_is_written_and_read_back_and_the_old_table_is_gone(image: Path, device: Path, packed: bool) -> None:
    source = image
    if packed:
        source = pack(image)
    flashed = flash.flash(source, device, said_nothing)
    assert equal_but_for_the_empty_slot(image, device)
    assert flashed.partitions == ("root-a", "root-b", "DCCNCFG")
    assert flashed.written_bytes < flashed.image_bytes == image.stat().st_size
    with device.open("rb") as file:
        file.seek(-512, os.SEEK_END)
        assert file.read() == bytes(512)


def pack(image: Path) -> Path:
    subprocess.run(["xz", "-1", "-k", "-f", str(image)], check=True)
    return image.with_name(image.name + ".xz")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-40], lambda data: data[:900] + b"?" + data[901:], lambda _: b""]
)
def test_a_packed_image_that_was_not_fetched_whole_is_told(
    image: Path, device: Path, damage: Callable[[bytes], bytes]
) -> None:
    packed = pack(image)
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(Malformed):
        flash.flash(packed, device, said_nothing)


def test_a_flashed_disk_is_configured_without_mounting_it(image: Path, device: Path) -> None:
    flash.flash(image, device, said_nothing)
    told = CliRunner().invoke(
        app, ["image", "configure", str(device), "--hub", "https://hub.example:8443", "--token", "ABCD-EFGH", "--json"]
    )
    assert told.exit_code == 0 and json.loads(told.stdout)["has_token"] is True
    held = fat.get(device, "dccn.toml", offset_bytes=configure.config_offset_bytes(device))
    assert held == b'[hub]\nurl = "https://hub.example:8443"\ntoken = "ABCD-EFGH"\n'


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--hub", "ftp://hub.example"],
        ["--address", "300.1.1.1/24"],
        ["--hostname", "Not A Name"],
        ["--ca-pin", "12"],
    ],
)
def test_settings_that_the_machine_would_ignore_are_refused_before_anything_is_written(
    image: Path, options: list[str]
) -> None:
    before = image.read_bytes()
    told = CliRunner().invoke(app, ["image", "configure", str(image), *options])
    assert isinstance(told.exception, Malformed) and told.exception.code == "usage"
    assert image.read_bytes() == before


def test_a_disk_that_is_mounted_is_refused_by_us_and_by_the_kernel(image: Path, device: Path, tmp_path: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-F", str(device)], check=True)
    place = tmp_path / "mounted"
    place.mkdir()
    subprocess.run(["mount", str(device), str(place)], check=True)
    try:
        with pytest.raises(Refused, match="mounted at") as refusal:
            disks.open_to_write(device)
        assert refusal.value.code == "disk_refused"
        with pytest.raises(Refused, match="busy"):
            flash.flash(image, device, said_nothing)
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert disks.open_to_write(device).refusal is None


def test_a_disk_too_small_and_a_file_that_is_no_image_leave_the_disk_as_it_was(
    image: Path, device: Path, tmp_path: Path
) -> None:
    before = device.read_bytes()
    large = tmp_path / "large.img"
    placed = gpt.place([gpt.Wanted(configure.CONFIG_LABEL, gpt.BASIC_DATA, 2 * SIZE_MIB * MIB)], uuid.UUID(int=7))
    with large.open("wb") as disk:
        gpt.write(disk, placed, gpt.disk_sectors(placed), uuid.UUID(int=8))
    with pytest.raises(Refused, match="holds"):
        flash.flash(large, device, said_nothing)
    other = tmp_path / "other.img"
    other.write_bytes(b"\x55" * MIB)
    with pytest.raises(Malformed, match="no dccn image"):
        flash.flash(other, device, said_nothing)
    assert device.read_bytes() == before


def test_an_image_that_was_cut_short_is_told(image: Path, device: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.img"
    cut.write_bytes(image.read_bytes()[: 20 * MIB])
    with pytest.raises(Malformed, match="ends after"):
        flash.flash(cut, device, said_nothing)


def test_a_disk_that_gives_back_other_bytes_is_told(image: Path, device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = os.pread

    def worn(disk: int, length: int, at: int) -> bytes:
        data = honest(disk, length, at)
        return data[:-1] + bytes([data[-1] ^ 1]) if at > 2 * MIB else data

    monkeypatch.setattr("appliance.image.flash.os.pread", worn)
    with pytest.raises(Faulty, match="other bytes than were written") as failure:
        flash.flash(image, device, said_nothing)
    assert failure.value.code == "flash_failed"


def test_flashing_asks_first_and_a_wrong_answer_writes_nothing(image: Path, device: Path) -> None:
    before = device.read_bytes()
    told = CliRunner().invoke(app, ["image", "flash", str(image), str(device)], input="yes\n")
    assert told.exit_code == 1 and device.read_bytes() == before
    told = CliRunner().invoke(app, ["image", "flash", str(image), str(device)], input=f"{device.name}\n")
    assert told.exit_code == 0 and equal_but_for_the_empty_slot(image, device)


class SmallMachine:
    """A /sys and a /proc with one disk, written by hand from what Linux shows."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.disk = root / "sys/block/sdx"
        for folder, number, extra in (
            (self.disk, "8:0", {"size": "1000", "removable": "1", "ro": "0"}),
            (self.disk / "sdx1", "8:1", {"partition": "1"}),
        ):
            folder.mkdir(parents=True)
            for name, text in {"dev": number, **extra}.items():
                (folder / name).write_text(text + "\n")
        link = root / "sys/class/block"
        link.mkdir(parents=True)
        (link / "sdx").symlink_to(self.disk)
        (link / "sdx1").symlink_to(self.disk / "sdx1")
        (root / "proc").mkdir()
        self.mounts("")

    def mounts(self, text: str, swaps: str = "") -> None:
        (self.root / "proc/self").mkdir(exist_ok=True)
        (self.root / "proc/self/mountinfo").write_text(text)
        (self.root / "proc/swaps").write_text("Filename Type Size Used Priority\n" + swaps)

    def hold(self, by: str, number: str) -> None:
        (self.disk / "sdx1/holders").mkdir()
        (self.disk / "sdx1/holders" / by).mkdir()
        (self.root / "sys/class/block" / by).mkdir()
        (self.root / "sys/class/block" / by / "dev").write_text(number)

    def refusal(self) -> str | None:
        (disk,) = disks.found(self.root)
        return disk.refusal


@pytest.fixture
def machine(tmp_path: Path) -> SmallMachine:
    return SmallMachine(tmp_path / "machine")


def test_a_disk_that_nobody_uses_may_be_written(machine: SmallMachine) -> None:
    assert machine.refusal() is None
    assert disks.open_to_write(Path("/dev/sdx"), machine.root).size_bytes == 512_000


@pytest.mark.parametrize(
    ("mounts", "swaps", "why"),
    [
        ("30 1 8:1 / / rw - ext4 /dev/sdx1 rw", "", "runs from it"),
        ("30 1 8:1 / /boot/efi rw - vfat /dev/sdx1 rw", "", "runs from it"),
        ("30 1 0:44 /@ / rw - btrfs /dev/sdx1 rw", "", "runs from it"),
        ("30 1 8:1 / /media/my\\040disk rw - ext4 /dev/sdx1 rw", "", "mounted at /media/my disk"),
        ("", "/dev/sdx1 partition 100 0 -2\n", "swap"),
    ],
)
def test_a_used_disk_is_refused_with_the_reason(machine: SmallMachine, mounts: str, swaps: str, why: str) -> None:
    machine.mounts(mounts, swaps)
    refusal = machine.refusal()
    assert refusal is not None and why in refusal
    with pytest.raises(Refused):
        disks.open_to_write(Path("/dev/sdx"), machine.root)


def test_an_encrypted_root_and_an_unmounted_volume_are_found_behind_the_disk(machine: SmallMachine) -> None:
    machine.hold("dm-0", "253:0")
    assert "part of dm-0" in (machine.refusal() or "")
    machine.mounts("30 1 253:0 / / rw - ext4 /dev/mapper/root rw")
    assert "runs from it" in (machine.refusal() or "")


@pytest.mark.parametrize("path", ["/dev/sdx1", "/dev/sdy", "/etc/passwd"])
def test_partitions_and_other_files_are_no_disks(machine: SmallMachine, path: str) -> None:
    with pytest.raises(Refused) as refusal:
        disks.open_to_write(Path(path), machine.root)
    assert refusal.value.code == "disk_refused"


def test_the_disk_that_this_machine_runs_from_is_refused() -> None:
    told = json.loads(CliRunner().invoke(app, ["image", "disks", "--json"]).stdout)
    assert told["ok"] and any("runs from it" in (disk["refused"] or "") for disk in told["disks"])
