"""The updater's decisions: what it installs, what it leaves alone, when it starts it, and how it says why not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from appliance import uki
from appliance.agent.updates.boot_folder import BootFolder
from appliance.agent.updates.pauses import LOOK_S, REOPEN_S, RETRY_S
from appliance.agent.updates.record import RecordFile
from appliance.agent.updates.settings import Settings
from appliance.agent.updates.slots import Slot, Slots
from appliance.agent.updates.sources import FolderSource, Source
from appliance.agent.updates.updating import Machine, Updater
from chain.errors import Faulty, Refused
from tests.appliance.agent.updates.machine_on_files import Disk
from tests.appliance.releases import small_build
from tests.appliance.releases.office import Office

NIGHT = datetime(2026, 3, 1, 3, tzinfo=UTC)


class Appliance:
    """A machine that runs 1.0 in slot A, its release folder, and what it asked of the root helper."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.office = Office(folder / "office")
        self.own = small_build.write(folder / "own", "1.0")
        self.disk = Disk(folder / "disk")
        self.running, self.active = self.own, "a"
        self.entries = {"dccn_1.0.efi": self.own}
        self.sources: list[Source] = [FolderSource(self.office.folder)]
        self.asked: list[tuple[Any, ...]] = []
        self.broken: set[str] = set()
        self.boot, self.uptime_s = "first", 9999.0
        self.now = datetime.now(UTC).replace(hour=12)
        self.put("usr/lib/os-release", 'IMAGE_VERSION="1.0"\nVARIANT_ID=qemu-test\n')
        os.utime(self.root / "usr/lib/os-release", (NIGHT.timestamp(), NIGHT.timestamp()))
        self.put("usr/share/dccn/releases/root.json", (self.office.folder / "metadata/1.root.json").read_text())

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def release(self, version: str, number: int, **given: Any) -> None:
        self.office.publish(self.office.add(version, number, **given))

    def switch_on(self) -> Updater:
        if not self.disk.folder.exists():
            self.disk.make({"a": self.own}, self.entries)
            (self.root / "efi").symlink_to(self.disk.folder / "esp")
        machine = Machine(
            self.root,
            self.ask,
            now=lambda: self.now,
            boot_id=lambda: self.boot,
            uptime_s=lambda: self.uptime_s,
            sources=lambda _settings: self.sources,
            slots=self.slots,
        )
        return Updater(machine, self.root / "state", RecordFile(self.root / "state", self.root / "face"))

    def ask(self, verb: str, *arguments: Any) -> None:
        self.asked.append((verb, *arguments))
        if verb in self.broken:
            raise Faulty("verb_failed", f"{verb} failed")

    def slots(self) -> Slots:
        slot = {name: Slot(name, self.disk.folder / f"root-{name}", self.disk.folder / f"hash-{name}") for name in "ab"}
        root_hash = uki.root_hash((self.running / "kernel.efi").read_bytes())
        return Slots(slot[self.active], slot["b" if self.active == "a" else "a"], root_hash)

    @property
    def shown(self) -> dict[str, Any]:
        """What the console and the agent can read."""
        found: dict[str, Any] = json.loads((self.root / "face/update.json").read_text())
        return found

    @property
    def names(self) -> set[str]:
        return set(self.disk.contents().offered())


@pytest.fixture
def appliance(tmp_path: Path) -> Appliance:
    return Appliance(tmp_path)


def test_a_new_release_is_installed_at_once_and_started_in_the_window(appliance: Appliance) -> None:
    appliance.release("2.0", 7)
    pause_s = appliance.switch_on().turn()
    assert appliance.shown["state"] == "waiting" and appliance.shown["installed"]["release"] == 7
    assert appliance.names == {"dccn_1.0.efi", "dccn_2.0+3.efi"}
    assert appliance.disk.contents().starts() == "2.0"
    assert 0 < pause_s <= LOOK_S and appliance.asked == []
    appliance.now = appliance.now.replace(hour=3) + timedelta(days=1)
    appliance.switch_on().turn()
    assert appliance.asked == [("drain",), ("reboot", {"reason": "release 7, version 2.0"})]
    assert appliance.shown["state"] == "restarting"


def test_after_the_start_the_new_release_is_the_one_that_runs_and_no_older_one_comes(appliance: Appliance) -> None:
    appliance.release("2.0", 7)
    appliance.switch_on().turn()
    (new,) = appliance.office.builds.iterdir()
    appliance.running, appliance.active = new, "b"
    assert appliance.switch_on().turn() == LOOK_S
    assert (appliance.shown["state"], appliance.shown["release"], appliance.shown["installed"]) == ("current", 7, None)
    appliance.running, appliance.active = appliance.own, "a"
    appliance.switch_on().turn()
    assert "not newer than 7" in appliance.shown["reason"]


def test_work_that_does_not_leave_keeps_no_machine_from_its_update(appliance: Appliance) -> None:
    appliance.release("2.0", 7)
    appliance.now, appliance.broken = appliance.now.replace(hour=3), {"drain"}
    appliance.switch_on().turn()
    assert [verb for verb, *_ in appliance.asked] == ["drain", "reboot"]
    assert appliance.shown["state"] == "restarting" and "work is left" in appliance.shown["reason"]


def test_after_the_restart_work_is_let_in_again_even_where_the_cluster_takes_its_time(appliance: Appliance) -> None:
    appliance.release("2.0", 7)
    appliance.now = appliance.now.replace(hour=3)
    appliance.switch_on().turn()
    appliance.asked.clear()
    (new,) = appliance.office.builds.iterdir()
    appliance.running, appliance.active, appliance.boot = new, "b", "second"
    appliance.broken, appliance.uptime_s = {"resume"}, 100
    assert appliance.switch_on().turn() == REOPEN_S, "the cluster is not there yet"
    appliance.broken, appliance.uptime_s = set(), 300
    assert appliance.switch_on().turn() == REOPEN_S, "it may have been too early to count"
    appliance.uptime_s = 1000
    assert appliance.switch_on().turn() == LOOK_S
    assert appliance.switch_on().turn() == LOOK_S
    assert appliance.asked == [("resume",)] * 3


def test_a_release_that_was_given_up_is_not_tried_again_but_a_newer_one_is(appliance: Appliance) -> None:
    appliance.release("2.0", 7)
    appliance.switch_on().turn()
    linux = appliance.disk.folder / "esp/EFI/Linux"
    (linux / "dccn_2.0+3.efi").rename(linux / "dccn_2.0+0-3.efi")
    appliance.switch_on().turn()
    assert appliance.shown["given_up"] == ["2.0"] and "given up" in appliance.shown["reason"]
    assert appliance.shown["installed"] is None
    appliance.release("2.1", 8)
    appliance.switch_on().turn()
    assert appliance.shown["installed"]["release"] == 8
    assert appliance.names == {"dccn_1.0.efi", "dccn_2.1+3.efi"}
    assert appliance.shown["given_up"] == ["2.0"], "remembered although its entry is gone"


def test_a_system_that_has_not_proved_itself_keeps_what_it_would_fall_back_to(appliance: Appliance) -> None:
    appliance.entries = {"dccn_1.0+2-1.efi": appliance.own}
    appliance.release("2.0", 7)
    assert appliance.switch_on().turn() == RETRY_S
    assert (appliance.shown["state"], appliance.shown["code"]) == ("failed", "update_not_now")
    assert appliance.disk.contents() == appliance.disk.before


def test_a_machine_that_cannot_or_shall_not_update_itself_says_so(appliance: Appliance) -> None:
    appliance.put("run/dccn/updates.json", '{"enabled": false}')
    appliance.switch_on().turn()
    assert (appliance.shown["state"], appliance.shown["reason"]) == ("off", "the owner switched updates off")
    appliance.put("run/dccn/updates.json", "{}")
    (appliance.root / "usr/share/dccn/releases/root.json").unlink()
    appliance.switch_on().turn()
    assert appliance.shown["reason"] == "this image was built without a trusted root"


def test_a_release_of_another_channel_or_profile_is_none(appliance: Appliance) -> None:
    appliance.release("2.0", 7, profile="x86-nogpu")
    appliance.switch_on().turn()
    assert appliance.shown["reason"] == "no source has a release for this machine"
    appliance.put("run/dccn/updates.json", '{"channel": "beta"}')
    appliance.switch_on().turn()
    assert appliance.shown["state"] == "current" and appliance.shown["channel"] == "beta"


@pytest.mark.parametrize("version", ["0.9", "1.0"])
def test_a_version_that_the_boot_loader_would_not_prefer_is_not_installed(appliance: Appliance, version: str) -> None:
    appliance.release(version, 7, root=small_build.content("another"))
    appliance.switch_on().turn()
    assert appliance.shown["code"] == "update_not_now" and "not newer than 1.0" in appliance.shown["reason"]
    assert appliance.disk.contents() == appliance.disk.before


@pytest.mark.parametrize(("rooms", "names"), [([1 << 30] * 9, 2), ([1000, 1 << 30], 1), ([1000, 1000], 1)])
def test_a_boot_partition_without_room_gives_up_the_other_slots_image_first(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, rooms: list[int], names: int
) -> None:
    """`rooms`: bytes that are free whenever it is asked; `names`: entries when the new image is about to be made."""
    appliance.entries["dccn_0.9.efi"] = small_build.write(appliance.root / "old", "0.9")
    appliance.release("2.0", 7)
    left, seen, stage = iter([*rooms, rooms[-1]]), [], BootFolder.stage

    def staged(folder: BootFolder, pieces: Iterator[bytes]) -> Path:
        seen.append(len(folder.names()))
        return stage(folder, pieces)

    monkeypatch.setattr(BootFolder, "_free", lambda _folder: next(left))
    monkeypatch.setattr(BootFolder, "stage", staged)
    appliance.switch_on().turn()
    if rooms[-1] > 1000:
        assert appliance.shown["state"] == "waiting" and seen == [names]
    else:
        assert appliance.shown["code"] == "update_not_now" and "bytes left" in appliance.shown["reason"]
    assert appliance.disk.contents().starts() in ("1.0", "2.0")


def test_a_clock_before_the_image_itself_shows_no_time(appliance: Appliance) -> None:
    appliance.release("2.0", 7)
    appliance.now = NIGHT - timedelta(days=1)
    appliance.switch_on().turn()
    assert appliance.shown["code"] == "clock_off" and appliance.shown["installed"] is None


@pytest.mark.parametrize(("is_set", "code"), [(False, "clock_off"), (True, "update_untrusted")])
def test_expired_metadata_may_be_the_clocks_fault_when_nobody_has_set_it(
    appliance: Appliance, is_set: bool, code: str
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=100)
    appliance.office.publish(appliance.office.add("2.0", 7, now=long_ago), now=long_ago)
    if is_set:
        appliance.put("run/systemd/timesync/synchronized", "")
    appliance.switch_on().turn()
    assert (appliance.shown["state"], appliance.shown["code"]) == ("failed", code)
    assert "expired" in appliance.shown["reason"]


def test_a_stick_serves_while_the_server_is_away(appliance: Appliance, tmp_path: Path) -> None:
    appliance.release("2.0", 7)
    gone = FolderSource(tmp_path / "gone")
    appliance.sources = [gone]
    assert appliance.switch_on().turn() == RETRY_S
    assert appliance.shown["code"] == "unreachable"
    appliance.sources = [gone, FolderSource(appliance.office.folder)]
    appliance.switch_on().turn()
    assert appliance.shown["installed"]["release"] == 7 and appliance.shown["source"] == str(appliance.office.folder)


def test_a_newer_release_replaces_one_that_still_waits(appliance: Appliance) -> None:
    for version, number in (("2.0", 7), ("3.0", 8)):
        appliance.release(version, number)
        appliance.switch_on().turn()
    assert appliance.names == {"dccn_1.0.efi", "dccn_3.0+3.efi"}
    assert appliance.disk.contents().starts() == "3.0"


def test_what_waits_is_not_installed_twice(appliance: Appliance) -> None:
    appliance.release("2.0", 7)
    appliance.switch_on().turn()
    steps = len(appliance.disk.steps)
    before = appliance.disk.contents()
    appliance.switch_on().turn()
    assert appliance.disk.contents() == before and len(appliance.disk.steps) == steps
    assert appliance.shown["state"] == "waiting"


def test_a_record_that_a_fault_of_the_disk_spoilt_begins_anew(appliance: Appliance) -> None:
    appliance.release("2.0", 7)
    appliance.switch_on().turn()
    (appliance.root / "state/update.json").write_bytes(b"\0" * 4096)
    appliance.switch_on().turn()
    assert appliance.shown["installed"]["release"] == 7


def test_a_data_partition_that_takes_nothing_more_keeps_no_machine_from_its_update(appliance: Appliance) -> None:
    appliance.release("2.0", 7)
    updater = appliance.switch_on()
    updater.turn()
    (appliance.root / "state/update.json").unlink()
    (appliance.root / "state/update.json").mkdir()  # root writes where it may not: only this stops it in a test
    updater.turn()
    assert appliance.shown["state"] == "waiting" and "update.json" in appliance.shown["reason"]


def test_a_system_without_a_name_is_told_and_does_not_end_the_updater(appliance: Appliance) -> None:
    updater = appliance.switch_on()
    (appliance.root / "usr/lib/os-release").unlink()
    assert updater.turn() == RETRY_S and "os-release" in appliance.shown["reason"]


def test_a_machine_without_slots_is_left_alone(appliance: Appliance) -> None:
    appliance.release("2.0", 7)
    updater = appliance.switch_on()
    appliance.slots = lambda: (_ for _ in ()).throw(Refused("update_not_now", "no slots"))  # type: ignore[method-assign]
    updater = appliance.switch_on()
    assert updater.turn() == RETRY_S and appliance.shown["code"] == "update_not_now"


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda root: (root / "run/dccn/updates.json").write_text("{"), "malformed"),
        (lambda root: (root / "run/dccn/updates.json").write_text('{"window": "soon"}'), "usage"),
        (lambda root: (root / "usr/share/dccn/releases/root.json").write_text("{}"), "update_untrusted"),
    ],
)
def test_settings_that_cannot_be_read_are_said_and_nothing_is_lost(
    appliance: Appliance, damage: Callable[[Path], object], code: str
) -> None:
    appliance.release("2.0", 7)
    appliance.put("run/dccn/updates.json", "{}")
    damage(appliance.root)
    assert appliance.switch_on().turn() == RETRY_S
    assert (appliance.shown["state"], appliance.shown["code"]) == ("failed", code)
    assert "dccn_1.0.efi" in appliance.names


def test_the_defaults_are_those_of_the_manual() -> None:
    assert Settings() == Settings(enabled=True, channel="stable", window="02:00-05:00", url=None)
