"""Wiping real volumes in files and on loop devices: nothing of the data is left, whenever it was interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.image import fat
from appliance.reset.mark import Marks
from appliance.reset.volume import HEAD_BYTES, Kind, read
from appliance.reset.wipe import HEADER_BYTES, Method, wipe
from chain.errors import Faulty
from chain.lifeline import spawn

MIB = 1 << 20
UUID = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
CANARY = b"the owner's secret key, which nobody may find again"
PASSPHRASE = b"a passphrase"


def plain_volume(path: Path, size: int = 64 * MIB) -> Path:
    """An ext4 with the canary in a file, and in places that no file system knows of."""
    secret = path.parent / "files"
    secret.mkdir()
    (secret / "identity.key").write_bytes(CANARY * 1000)
    with path.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-U", str(UUID), "-d", secret, path], check=True)
    with path.open("r+b") as file:
        file.seek(size - 4096)
        file.write(CANARY)
    return path


def sealed_volume(path: Path, size: int = 64 * MIB) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    options = ["--batch-mode", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
    command = ["cryptsetup", "luksFormat", *options, "--uuid", str(UUID), "--key-file", "-", path]
    subprocess.run(command, input=PASSPHRASE, check=True, capture_output=True)
    return path


def opens(path: Path) -> bool:
    """Whether the passphrase still gives the volume's key."""
    test = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", path]
    return subprocess.run(test, input=PASSPHRASE, capture_output=True, check=False).returncode == 0


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Path]:
    """A block device that takes discards, with an ext4 on it."""
    image = plain_volume(tmp_path / "loop.img")
    attached = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if attached.returncode:
        pytest.skip(f"this kernel gives no loop device: {attached.stderr.strip()}")
    device = Path(attached.stdout.strip())
    yield device
    subprocess.run(["losetup", "--detach", device], check=True)


def test_a_plain_volume_is_all_zeros_afterwards_and_is_said_to_be_overwritten(tmp_path: Path) -> None:
    volume = plain_volume(tmp_path / "data.img")
    assert CANARY in volume.read_bytes()
    wiped = wipe(volume)
    assert (wiped.method, wiped.size_bytes, wiped.volume) == (Method.overwritten, 64 * MIB, UUID.bytes)
    assert volume.stat().st_size == 64 * MIB and not any(volume.read_bytes())


def test_a_disk_that_discards_is_believed_only_after_reading_it_back(loop: Path) -> None:
    assert CANARY in loop.read_bytes()
    wiped = wipe(loop)
    assert wiped.method in (Method.discarded, Method.overwritten) and wiped.volume == UUID.bytes
    assert not any(loop.read_bytes())


def test_a_sealed_volume_loses_its_keys_and_its_whole_header(tmp_path: Path) -> None:
    volume = sealed_volume(tmp_path / "data.img")
    assert opens(volume)
    wiped = wipe(volume)
    assert (wiped.method, wiped.volume) == (Method.keys_destroyed, UUID.bytes)
    assert not opens(volume)
    with volume.open("rb") as file:
        assert not any(file.read(HEADER_BYTES))


def test_a_saved_header_would_open_it_no_more_than_the_key_slots_were_good_for(tmp_path: Path) -> None:
    """The slots are destroyed in place before the header goes: what is read off the disk at that moment is useless."""
    volume = sealed_volume(tmp_path / "data.img")
    subprocess.run(["cryptsetup", "luksErase", "--batch-mode", volume], check=True)
    assert read(volume.read_bytes()[:HEAD_BYTES]).kind is Kind.sealed and not opens(volume)
    assert wipe(volume).method is Method.keys_destroyed


def test_a_damaged_header_does_not_stop_the_wipe(tmp_path: Path) -> None:
    volume = sealed_volume(tmp_path / "data.img")
    with volume.open("r+b") as file:
        file.seek(512)
        file.write(os.urandom(64 * 1024))
    assert wipe(volume).method is Method.keys_destroyed
    assert not any(volume.read_bytes()[:HEADER_BYTES])


def test_a_volume_in_use_is_refused_and_left_as_it_is(loop: Path, tmp_path: Path) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    mounted = subprocess.run(["mount", loop, place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting takes privileges that this process does not have")
    try:
        with pytest.raises(Faulty, match="wiping"):
            wipe(loop)
        assert (place / "identity.key").read_bytes().startswith(CANARY)
    finally:
        subprocess.run(["umount", place], check=True)


@given(st.binary(max_size=HEAD_BYTES))
def test_any_first_bytes_are_some_kind_of_volume(head: bytes) -> None:
    found = read(head.ljust(HEAD_BYTES, b"\0"))
    assert found.kind in Kind and (found.uuid is None or len(found.uuid) == 16)
    assert (found.kind is Kind.blank) == (not any(head))


def config_partition(path: Path, **marks: bytes) -> Path:
    fat.make(path, 34 * MIB, "DCCNCFG", 1, {"dccn.toml": b"[hub]\n"}, 1_767_225_600)
    for name, content in marks.items():
        fat.put(path, name.replace("__", ".").replace("_", "-"), content, epoch_s=1_767_225_600)
    return path


def reset(data: Path, config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "appliance.reset", str(data), str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("name", ["factory-reset", "factory-reset.txt", "FACTORY-RESET.TXT", "factory-reset.running"])
def test_the_owners_file_wipes_the_data_once_and_leaves_what_was_done(tmp_path: Path, name: str) -> None:
    volume = plain_volume(tmp_path / "data.img")
    config = config_partition(tmp_path / "config.img")
    fat.put(config, name, b"please\n", epoch_s=1_767_225_600)
    done = reset(volume, config)
    assert done.returncode == 0 and "the data is gone (overwritten)" in done.stdout
    assert not any(volume.read_bytes())
    told = json.loads(Marks(config).report() or b"")
    assert (told["method"], told["volume"], told["asked"]) == ("overwritten", UUID.hex, "please")
    assert reset(volume, config).returncode == 3
    assert fat.get(config, "dccn.toml") == b"[hub]\n"


def test_without_a_mark_nothing_is_touched(tmp_path: Path) -> None:
    volume, config = plain_volume(tmp_path / "data.img"), config_partition(tmp_path / "config.img")
    before = volume.read_bytes()
    assert reset(volume, config).returncode == 3
    assert volume.read_bytes() == before


def test_where_there_is_no_data_the_mark_is_taken_away(tmp_path: Path) -> None:
    config = config_partition(tmp_path / "config.img", factory_reset=b"")
    done = reset(tmp_path / "none", config)
    assert done.returncode == 0 and "nothing-there" in done.stdout
    assert reset(tmp_path / "none", config).returncode == 3


@pytest.mark.parametrize("damage", ["empty", "noise", "read-only"])
def test_a_partition_whose_mark_cannot_be_taken_away_wipes_nothing(tmp_path: Path, damage: str) -> None:
    """Otherwise the machine would wipe itself at every boot."""
    volume = plain_volume(tmp_path / "data.img")
    config = config_partition(tmp_path / "config.img", factory_reset=b"")
    if damage == "read-only":
        command = f"mount --bind {config} {config} && mount -o remount,bind,ro {config} && exec "
        program = f"{sys.executable} -m appliance.reset {volume} {config}"
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", command + program], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1 and "wipe_failed" in done.stderr and "Traceback" not in done.stderr
    else:
        config.write_bytes(bytes(MIB) if damage == "empty" else os.urandom(MIB))
        assert reset(volume, config).returncode == 3
    assert CANARY in volume.read_bytes()


def test_a_power_cut_anywhere_is_made_good_at_the_next_boot(tmp_path: Path) -> None:
    """Killed at moments spread over the whole run: the mark stays until the data is gone, and then it is gone."""
    volume = plain_volume(tmp_path / "data.img", 256 * MIB)
    saved = tmp_path / "saved.img"
    volume.rename(saved)
    config, asked = tmp_path / "config.img", config_partition(tmp_path / "asked.img", factory_reset=b"")
    outcomes = set()
    for step in range(12):
        for source, target in ((saved, volume), (asked, config)):
            subprocess.run(["cp", "--sparse=always", source, target], check=True)
        process = spawn([sys.executable, "-m", "appliance.reset", str(volume), str(config)], stdout=subprocess.DEVNULL)
        time.sleep(0.04 * step)
        process.send_signal(signal.SIGKILL)
        process.wait()
        outcomes.add(process.returncode)
        again = reset(volume, config)
        assert again.returncode in (0, 3), again.stderr
        assert not any(volume.read_bytes())
        assert reset(volume, config).returncode == 3
    assert -signal.SIGKILL in outcomes
