"""The power goes at every write and every flush of an installation: the machine always starts a whole system."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance import verity
from appliance.agent.updates import blocks, boot_entries, catalogue, installer
from appliance.agent.updates.sources import FolderSource
from tests.appliance.agent.updates.machine_on_files import Contents, Disk, PowerCut
from tests.appliance.releases import small_build
from tests.appliance.releases.office import Office

LOSSES = 6
"""Ways in which what was not flushed is lost, tried at each moment."""


class Story:
    """System 1.0 runs in slot A, an older 0.9 lies in B, and 2.0 is offered: most of 1.0's blocks, moved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        old, own = small_build.content("old"), small_build.content("own")
        new = small_build.content("new", 20) + own[: 200 * verity.BLOCK_BYTES] + small_build.content("newer", 60)
        self.old = small_build.write(folder / "builds", "0.9", old)
        self.own = small_build.write(folder / "builds", "1.0", own)
        office = Office(folder / "office")
        office.publish(office.add("2.0", 2, root=new))
        root = (office.folder / "metadata/1.root.json").read_bytes()
        source = FolderSource(office.folder)
        offer = catalogue.newest(source, root, folder / "state", channel="stable", profile="qemu-test")
        assert offer is not None
        self.offer = offer

    def disk(self, name: str) -> Disk:
        disk = Disk(self.folder / name)
        disk.make({"a": self.own, "b": self.old}, {"dccn_1.0.efi": self.own, "dccn_0.9.efi": self.old})
        return disk

    def installed(self, name: str, forgets: frozenset[str] = frozenset()) -> Disk:
        disk = self.disk(name)
        disk.forgets = forgets
        disk.installer(self.own).install(self.offer)
        return disk


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with pytest.MonkeyPatch.context() as patch:
        # Many small writes in place of a few large ones: more moments at which the power can go.
        patch.setattr(blocks, "MOST_BLOCKS_AT_ONCE", 8)
        patch.setattr(installer, "PIECE_BYTES", 16 << 10)
        yield Story(tmp_path_factory.mktemp("power"))


def test_the_machine_starts_a_whole_system_whenever_the_power_goes(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = story.installed("every")
    states = dict.fromkeys(("1.0", "2.0"), 0)
    for count in range(len(disk.steps) + 1):
        for contents in possible(disk, count):
            version = contents.starts()
            assert version in states, f"stands still after {count} of {len(disk.steps)} steps: {disk.steps[count - 1]}"
            assert all(contents.whole_system(name) for name in contents.offered()), "a broken system is offered"
            states[version] += 1
    assert all(states.values())
    with capsys.disabled():
        print(
            f"\n{len(disk.steps) + 1} moments of an installation, {sum(states.values())} states of the disk: {states}"
        )


def test_a_bad_new_system_leaves_the_one_before_to_fall_back_to(story: Story) -> None:
    contents = story.installed("fall-back").contents()
    name = boot_entries.choose(contents.offered())
    for _ in range(boot_entries.TRIES):
        assert name is not None and contents.whole_system(name) == "2.0"
        entry = boot_entries.parse(name)
        assert entry is not None
        tried = entry.attempted().name
        contents.files[tried] = contents.files.pop(name)
        name = boot_entries.choose(contents.offered())
    assert name == "dccn_1.0.efi" and contents.starts() == "1.0"


@pytest.mark.parametrize(
    ("forgotten", "what"),
    [
        ("sync", lambda contents: contents.starts() is None),
        ("sync_folder", lambda contents: not all(map(contents.whole_system, contents.offered()))),
        ("fsync", lambda contents: contents.starts() is None),
    ],
)
def test_a_disk_on_which_a_flush_is_forgotten_is_found_out(
    story: Story, forgotten: str, what: Callable[[Contents], bool]
) -> None:
    """The test of the test above: without each of the three kinds of flush it would fail."""
    disk = story.installed(f"without-{forgotten}", frozenset({forgotten}))
    assert any(what(contents) for count in range(len(disk.steps) + 1) for contents in possible(disk, count))


def test_an_installation_that_was_cut_short_anywhere_goes_on_and_ends(story: Story) -> None:
    whole = len(story.installed("counted").steps)
    for limit in range(whole):
        disk = story.disk(f"cut-{limit}")
        disk.limit = limit
        with pytest.raises(PowerCut):
            disk.installer(story.own).install(story.offer)
        disk.limit = None
        if disk.contents().starts() == "2.0":
            continue  # all but the last flushes were made
        disk.installer(story.own).install(story.offer)
        assert disk.contents().starts() == "2.0"


def possible(disk: Disk, count: int) -> list[Contents]:
    """Everything arrived; nothing that was not flushed did; and some of both."""
    chances = [(random.Random(seed * 1000 + count), 0.5) for seed in range(LOSSES)]
    return [disk.after(count, chance, loss) for chance, loss in ((None, 0.0), (random.Random(0), 1.0), *chances)]
