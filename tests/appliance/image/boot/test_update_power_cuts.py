"""The power goes at every write of an update: each moment must leave a disk that starts a whole system.

One machine installs a release from a stick while every write to its disk is recorded. The log is played back write by
write, and each state judged without a machine; some states, always those around the commit, are really started.
DCCN_POWER_CUT_BOOTS says how many.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance import verity
from appliance.image import fat
from appliance.image.configure import compose, configure
from tests.appliance.image.boot import replay, systems, write_log
from tests.appliance.image.boot.lanes import IS_LONG
from tests.appliance.image.boot.machine import Machine
from tests.appliance.image.boot.replay import Replay, State
from tests.appliance.releases.office import Office

BOOT_S, STEP_S, SETTLE_S = 400, 600, 15
BOOTS = int(os.environ.get("DCCN_POWER_CUT_BOOTS", "10" if IS_LONG else "2"))
AT_ONCE = 2
VERSION = "8"
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Recorded:
    """The disk before the update, every write since, and the kernel images that may be started."""

    before: Path
    log: Path
    kernels: set[str]


@pytest.fixture(scope="module")
def replayed(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Replay, list[State]]:
    """The state before the update and after each write of it."""
    disk = _copy(recorded.before, tmp_path_factory.mktemp("replay") / "disk.img")
    replaying = Replay(disk, recorded.log, recorded.kernels)
    return replaying, list(replaying.states())


@pytest.fixture(scope="module")
def recorded(updating_image: Path, office: Office, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("power")
    first = updating_image.with_suffix(".update")
    second = systems.other_release(first, folder / "second", VERSION)
    stick = _stick(folder / "stick.img", second, office)
    kernels = {hashlib.sha256((parts / "kernel.efi").read_bytes()).hexdigest() for parts in (first, second)}
    with Machine(folder / "machine", updating_image) as machine:
        configure(machine.disk, compose({"updates": {"window": _closed_now()}}))
        machine.switch_on()
        machine.until(lambda lines: _line(lines, "version 1 is healthy"), BOOT_S, "a healthy system")
        while "dccn_1.efi" not in systems.entries(machine.disk):
            time.sleep(1)
        machine.switch_off()
        before = _copy(machine.disk, folder / "before.img")
        machine.log = folder / "writes.log"
        after = machine.lines
        drive = f"if=none,id=stick,format=raw,readonly=on,file={stick}"
        machine.switch_on("-drive", drive, "-device", "virtio-blk-pci,drive=stick")
        begun_s = time.monotonic()
        machine.until(
            lambda lines: _line(lines[after:], "dccn: updates: waiting"), BOOT_S + STEP_S, "an installed update"
        )
        print(f"start, and an update of {_mib(second)} MiB from a stick: {time.monotonic() - begun_s:.0f} s")
        time.sleep(SETTLE_S)  # what is still to be flushed belongs to the log too
        machine.switch_off()
        return Recorded(before, machine.log, kernels)


def test_whenever_the_power_goes_the_disk_starts_a_whole_system(replayed: tuple[Replay, list[State]]) -> None:
    replaying, states = replayed
    faults = [state for state in states if state.fault is not None]
    started = Counter(state.entry for state in states)
    print(
        f"power cuts: {len(states)} states, {len(states) - len(faults)} survived,"
        f" {replaying.checked} with another boot partition, {replaying.repaired} of them repaired by its check;"
        f" started: {dict(started)}"
    )
    assert faults == []
    entries = [state.entry for state in states]
    assert set(entries) == {"dccn_1.efi", f"dccn_{VERSION}+3.efi"}
    assert entries == sorted(entries), "after the commit there is no way back"


def test_the_replay_finds_a_kernel_image_that_is_offered_before_it_is_whole(recorded: Recorded, tmp_path: Path) -> None:
    disk = _copy(recorded.before, tmp_path / "spoilt.img")
    systems.add_entry(disk, "dccn_9+3.efi", systems.kernel(disk)[: 5 * MIB])
    empty = tmp_path / "empty.log"
    empty.write_bytes(write_log.superblock(0))
    faults = [state.fault for state in Replay(disk, empty, recorded.kernels).states()]
    assert len(faults) == 1 and "no kernel image of any release" in str(faults[0])


def test_states_around_the_commit_and_others_really_start(
    recorded: Recorded, replayed: tuple[Replay, list[State]], tmp_path: Path
) -> None:
    _, states = replayed
    commit = next(index for index, state in enumerate(states) if state.entry != states[0].entry)
    others = random.Random(4).sample(range(len(states)), max(BOOTS - 2, 0))
    chosen = [states[index] for index in dict.fromkeys([commit - 1, commit, *others])]

    def start(state: State) -> str:
        with Machine(tmp_path / f"state-{state.number}", recorded.before) as machine:
            replay.at(state.number, machine.disk, recorded.log)
            version = "1" if state.entry == "dccn_1.efi" else VERSION
            machine.switch_on()
            machine.until(lambda lines: _line(lines, f"version {version} is healthy"), 2 * BOOT_S, "a healthy system")
            machine.disk.unlink()
            return version

    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = list(pool.map(start, chosen))
    print(f"really started: {[(state.number, version) for state, version in zip(chosen, started, strict=True)]}")
    assert started[:2] == ["1", VERSION]


def _line(lines: list[str], words: str) -> str | None:
    return next((line for line in lines if words in line), None)


def _closed_now() -> str:
    """A window that is twelve hours away, so that the update waits."""
    begin = datetime.now(UTC) + timedelta(hours=12)
    return f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}"


def _stick(path: Path, parts: Path, office: Office) -> Path:
    """A release of these parts as the office would hand it out on a stick."""
    office.release(parts, int(VERSION))
    files = {
        str(each.relative_to(office.folder)): each.read_bytes()
        for folder in ("metadata", "targets")
        for each in (office.folder / folder).rglob("*")
        if each.is_file()
    }
    size = sum(map(len, files.values())) + 64 * MIB
    fat.make(path, -(-size // verity.BLOCK_BYTES) * verity.BLOCK_BYTES, "DCCNUPD", 0xDCC00003, files, systems.EPOCH_S)
    return path


def _mib(parts: Path) -> int:
    return sum(path.stat().st_size for path in parts.iterdir()) // MIB


def _copy(source: Path, target: Path) -> Path:
    subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=True)
    return target
