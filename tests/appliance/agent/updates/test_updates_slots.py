"""Which slot is free: by what the kernel holds. And when the window is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.agent.updates import slots
from appliance.agent.updates.window import Window
from chain.errors import Malformed, Refused

NAMES = ("esp", "root-a", "hash-a", "root-b", "hash-b", "DCCNCFG", "data")


def machine(root: Path, *, active: str = "a", disk: str = "vda") -> Path:
    """What the kernel shows of a machine that runs from a slot of its disk."""
    add_disk(root, disk, NAMES)
    opened = root / "sys/block/dm-0"
    for folder in (opened / "dm", opened / "slaves", root / "run/dccn", root / "proc"):
        folder.mkdir(parents=True)
    (opened / "dm/name").write_text("root\n")
    for kind in ("root", "hash"):
        number = NAMES.index(f"{kind}-{active}") + 1
        node = root / f"sys/devices/{disk}/{disk}{number}"
        (opened / "slaves" / node.name).symlink_to(node)
        (node / "holders/dm-0").mkdir()
    (root / "run/dccn/slot").write_text(f"{active}\n")
    (root / "proc/cmdline").write_text(f"quiet dccn.roothash={'0a' * 32}\n")
    return root


def add_disk(root: Path, disk: str, names: tuple[str, ...]) -> None:
    for number, name in enumerate(names, 1):
        node = root / f"sys/devices/{disk}/{disk}{number}"
        (node / "holders").mkdir(parents=True)
        (node / "uevent").write_text(f"DEVTYPE=partition\nPARTN={number}\nPARTNAME={name}\n")
        (node / "partition").write_text(str(number))
        (node / "dev").write_text(f"254:{number}\n")


@pytest.mark.parametrize(("active", "idle", "number"), [("a", "b", 4), ("b", "a", 2)])
def test_the_other_slot_of_the_same_disk_is_free(tmp_path: Path, active: str, idle: str, number: int) -> None:
    root = machine(tmp_path, active=active)
    add_disk(root, "sda", ("root-b", "hash-b", "root-a", "hash-a"))  # somebody's stick
    found = slots.find(root)
    assert (found.active.name, found.idle.name) == (active, idle)
    assert found.idle.root == root / f"dev/vda{number}" and found.idle.tree == root / f"dev/vda{number + 1}"
    assert found.root_hash == b"\x0a" * 32


def test_a_machine_whose_slots_are_not_as_they_should_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no verified root is open"):
        slots.find(tmp_path / "desktop")
    held = machine(tmp_path / "held")
    (held / "sys/devices/vda/vda5/holders/dm-1").mkdir()
    with pytest.raises(Refused, match="hash-b of the idle slot is in use"):
        slots.find(held)
    other = machine(tmp_path / "other")
    (other / "run/dccn/slot").write_text("b\n")
    with pytest.raises(Refused, match="the root stands on hash-a, root-a"):
        slots.find(other)
    small = machine(tmp_path / "small")
    (small / "sys/devices/vda/vda4/uevent").write_text("PARTNAME=other\n")
    with pytest.raises(Refused, match="its disk has no root-b"):
        slots.find(small)
    nameless = machine(tmp_path / "nameless")
    (nameless / "proc/cmdline").write_text("quiet\n")
    with pytest.raises(Refused, match="names no root hash"):
        slots.find(nameless)


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_a_window_opens_within_a_day_and_is_then_open(begin: int, end: int, minute: int) -> None:
    text = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    window = Window.parse(text)
    now = datetime(2026, 3, 1, minute // 60, minute % 60, 30, tzinfo=UTC)
    wait = window.wait(now)
    assert timedelta(0) <= wait < timedelta(days=1)
    assert window.wait(now + wait) == timedelta(0)
    inside = begin <= minute < end if begin < end else minute >= begin or minute < end
    assert (wait == timedelta(0)) == (inside or begin == end)


@pytest.mark.parametrize(
    "text", ["", "2:00-5:00", "02:00", "24:00-25:00", "02:00-05:60", "02:00-05:00 ", "02:00–05:00"]
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="HH:MM"):
        Window.parse(text)
