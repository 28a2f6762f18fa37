"""Whoever serves releases, or hands over a stick, tries to put another system into a machine, or an old one.

It may be kept from news; it is never made to install what the release keys did not sign, nor filled, nor stuck.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, MetaFile

from appliance.agent.updates import catalogue
from appliance.agent.updates.catalogue import MAX_TREE_BYTES, Offer
from appliance.agent.updates.sources import FolderSource, Pace, Source
from appliance.releases import additions, keys, repository
from appliance.releases.description import Description
from chain.errors import DccnError, Malformed, Refused, Unavailable
from tests.appliance.agent.updates.machine_on_files import Disk
from tests.appliance.releases import small_build
from tests.appliance.releases.office import LIFETIMES, NOW, Office

FLIPS = 150
MIB = 1 << 20


class Bent:
    """A source in between: `bend` gets each path and what the honest one gives for it."""

    name = "somebody in between"

    def __init__(self, honest: Source, bend: Callable[[str, Iterator[bytes]], Iterator[bytes]]) -> None:
        self._honest = honest
        self._bend = bend

    def pieces(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._bend(path, self._honest.pieces(path, offset, length))


class Victim:
    """A machine that runs 1.0, has seen the releases up to 2.0, and asks whatever source it is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.office = Office(folder / "office")
        self.own = small_build.write(folder / "own", "1.0")
        self.trusted = (self.office.folder / "metadata/1.root.json").read_bytes()
        self.old = folder / "as-it-was"
        self.office.publish(self.office.add("1.5", 1))
        shutil.copytree(self.office.folder, self.old)
        self.office.publish(self.office.add("2.0", 2))
        self.disk = Disk(folder / "disk")
        self.disk.make({"a": self.own}, {"dccn_1.0.efi": self.own})
        assert self.offered() is not None

    @property
    def honest(self) -> FolderSource:
        return FolderSource(self.office.folder)

    def offered(self, source: Source | None = None) -> Offer | None:
        return catalogue.newest(
            source or self.honest, self.trusted, self.folder / "state", channel="stable", profile="qemu-test"
        )

    def install(self, offer: Offer) -> None:
        self.disk.installer(self.own).install(offer)

    def refuses(self, source: Source, *codes: str) -> str:
        """What it says; afterwards it still believes the honest one, and still starts its own system."""
        with pytest.raises(DccnError) as refusal:
            offer = self.offered(source)
            assert offer is not None
            self.install(offer)
        assert refusal.value.code in (codes or ("update_untrusted",)), refusal.value
        assert self.disk.contents().starts() == "1.0"
        honest = self.offered()
        assert honest is not None and honest.description.release == 2
        return refusal.value.message


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    return Victim(tmp_path)


# --- Metadata -----------------------------------------------------------------------------------------------------


def test_a_repository_of_somebody_else_is_not_believed(victim: Victim, tmp_path: Path) -> None:
    stranger = Office(tmp_path / "stranger")
    stranger.publish(stranger.add("9.0", 9))
    victim.refuses(FolderSource(stranger.folder))


def test_an_older_state_of_the_true_repository_is_not_believed(victim: Victim) -> None:
    assert "version" in victim.refuses(FolderSource(victim.old))


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_old_and_new_metadata_cannot_be_mixed(victim: Victim, role: str) -> None:
    """The file that the new state names holds what an old one said."""
    mixed = victim.folder / "mixed"
    shutil.copytree(victim.office.folder, mixed)
    versions = {name: victim.office.open().roles[name].signed.version for name in ("timestamp", "snapshot", "targets")}
    name = "timestamp.json" if role == "timestamp" else f"{versions[role]}.{role}.json"
    older = "timestamp.json" if role == "timestamp" else f"{versions[role] - 1}.{role}.json"
    shutil.copy(victim.old / "metadata" / older, mixed / "metadata" / name)
    if role != "timestamp":
        shutil.rmtree(victim.folder / "state")
        assert victim.offered(FolderSource(victim.old)) is not None, "a machine that has seen the old state alone"
    victim.refuses(FolderSource(mixed))


def test_news_that_are_kept_back_are_missed_when_the_signatures_end(tmp_path: Path) -> None:
    """A frozen repository looks honest until its timestamp expires; then the machine says so."""
    office = Office(tmp_path / "office")
    trusted = (office.folder / "metadata/1.root.json").read_bytes()
    long_ago = NOW - LIFETIMES.online - timedelta(days=1)
    office.publish(office.add("2.0", 2, now=long_ago), now=long_ago)
    with pytest.raises(Refused, match="expired") as refusal:
        catalogue.newest(
            FolderSource(office.folder), trusted, tmp_path / "state", channel="stable", profile="qemu-test"
        )
    assert refusal.value.code == "update_untrusted"


def test_one_stolen_release_key_and_the_timestamps_key_make_no_release(victim: Victim) -> None:
    opened = victim.office.add("3.0", 3)
    opened.sign([victim.office.keys[0]])
    forged = opened.pending["targets"]
    opened.roles["targets"] = forged
    opened.drop_pending()
    repository.write(victim.office.folder / f"metadata/{forged.signed.version}.targets.json", forged)
    honest = victim.folder / "honest"
    shutil.copytree(victim.office.folder, honest)
    opened.publish(victim.office.online, NOW, LIFETIMES)
    with pytest.raises(Refused, match="was signed by 1/2 keys"):
        victim.offered()


def test_the_stolen_key_of_the_timestamp_brings_back_no_old_release(victim: Victim) -> None:
    opened = victim.office.open()
    opened.roles["snapshot"].signed.meta["targets.json"] = MetaFile(2)
    opened.roles["targets"] = Metadata.from_file(str(victim.old / "metadata/2.targets.json"))
    opened.publish(victim.office.online, NOW, LIFETIMES)
    with pytest.raises(Refused, match="version"):
        victim.offered()


@pytest.mark.parametrize("signers", [(0,), ()])
def test_new_keys_without_the_word_of_enough_old_ones_are_nobodys(victim: Victim, signers: tuple[int, ...]) -> None:
    stranger = [keys.make(victim.folder / f"stranger-{number}.pem") for number in range(2)]
    taken = victim.folder / "taken"
    shutil.copytree(victim.office.folder, taken)
    root = repository.copied(victim.office.open().root)
    root.version += 1
    for role in repository.OFFLINE_ROLES:
        for signer in victim.office.keys:
            root.revoke_key(signer.public_key.keyid, role)
        for signer in stranger:
            root.add_key(signer.public_key, role)
    forged = Metadata(root)
    for signer in (*stranger, *(victim.office.keys[number] for number in signers)):
        forged.sign(signer, append=True)
    repository.write(taken / "metadata/2.root.json", forged)
    victim.refuses(FolderSource(taken))


def test_a_changed_bit_anywhere_in_the_metadata_changes_nothing_that_is_offered(
    victim: Victim, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, refused, same = random.Random(1), 0, 0
    expected = victim.offered()
    assert expected is not None
    for _ in range(FLIPS):
        chosen = chance.choice(("timestamp", "snapshot", "targets", "release.json"))
        where, bit = chance.random(), 1 << chance.randrange(8)

        def flip(
            path: str, pieces: Iterator[bytes], chosen: str = chosen, where: float = where, bit: int = bit
        ) -> Iterator[bytes]:
            data = bytearray(b"".join(pieces))
            if chosen in path and data:
                data[int(where * len(data))] ^= bit
            yield bytes(data)

        shutil.rmtree(victim.folder / "state")
        try:
            offer = victim.offered(Bent(victim.honest, flip))
        except DccnError as error:
            assert error.code in ("update_untrusted", "unreachable")
            refused += 1
        else:
            assert offer is not None and offer.description == expected.description and offer.parts == expected.parts
            same += 1
    assert refused > FLIPS // 2
    with capsys.disabled():
        print(f"\n{FLIPS} changed bits of metadata: {refused} refused, {same} without any meaning")


def endless(path: str, _pieces: Iterator[bytes]) -> Iterator[bytes]:
    return itertools.repeat(b"{" * 65536)


@pytest.mark.parametrize("what", ["root", "timestamp", "snapshot", "targets.json", "release.json"])
def test_endless_metadata_end_at_their_limit(victim: Victim, what: str) -> None:
    given = 0

    def bend(path: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal given
        for piece in endless(path, pieces) if what in path else pieces:
            given += len(piece)
            yield piece

    shutil.rmtree(victim.folder / "state")
    victim.refuses(Bent(victim.honest, bend), "unreachable", "update_untrusted")
    assert given < 6 * MIB


# --- Parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["root.erofs", "root.verity", "kernel.efi", "kernel.verity"])
@pytest.mark.parametrize("damage", ["one bit", "another release's", "nothing", "too little", "zeros"])
def test_a_part_with_other_content_than_was_signed_is_not_installed(victim: Victim, part: str, damage: str) -> None:
    other = {path.name.partition(".")[2]: path for path in (victim.old / "targets").rglob("*.*.*") if path.is_file()}

    def bend(path: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        data = b"".join(pieces)
        if not path.endswith(f".{part}"):
            return iter([data])
        changed = {
            "one bit": data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
            "another release's": other[part].read_bytes()[: len(data)],
            "nothing": b"",
            "too little": data[:-1],
            "zeros": bytes(len(data)),
        }[damage]
        return iter([changed])

    # Whoever gives too little is one who does not answer, or whose part has another hash.
    source = Bent(victim.honest, bend)
    victim.refuses(source, "update_untrusted", "unreachable", "update_failed")


def test_a_slow_source_is_given_up_and_a_steady_one_is_not() -> None:
    seconds = itertools.count()
    slow = Pace("a slow one", grace_s=60, now_s=lambda: float(next(seconds)))
    with pytest.raises(Unavailable, match="too slow"):
        for _ in range(200):
            slow.note(1000)
    assert next(seconds) <= 64
    steady = Pace("a steady one", grace_s=60, now_s=lambda: float(next(seconds)))
    for _ in range(500):
        steady.note(1100)


# --- Insiders: enough keys sign something that no machine can use --------------------------------------------------


def signed(victim: Victim, change: Callable[[Description, Any], Description | None]) -> None:
    """Publish release 3 with a change that all keys sign: it alters targets, or returns another description."""
    build = additions.Build.read(small_build.write(victim.office.builds, "3.0"))
    opened = victim.office.open()
    described = additions.add(opened, build, release=3, channel="stable", now=NOW, lifetimes=LIFETIMES)
    targets = opened.pending["targets"].signed
    changed = change(described, targets)
    if changed is not None:
        additions._take(opened, targets, described, "stable/qemu-test/release.json", changed.encode())
    victim.office.publish(opened)


def absurd_length(_described: Description, targets: Any) -> None:
    targets.targets["qemu-test/3.0/root.erofs"].length = 1 << 60


def absurd_tree(_described: Description, targets: Any) -> None:
    targets.targets["qemu-test/3.0/root.verity"].length = MAX_TREE_BYTES + 4096


def no_kernel(_described: Description, targets: Any) -> None:
    del targets.targets["qemu-test/3.0/kernel.efi"]


def parts_of_another(_described: Description, targets: Any) -> None:
    old = targets.targets["qemu-test/2.0/root.erofs"].to_dict()
    targets.targets["qemu-test/3.0/root.erofs"] = type(targets.targets["qemu-test/2.0/root.erofs"]).from_dict(
        old, "qemu-test/3.0/root.erofs"
    )


def no_mark(_described: Description, targets: Any) -> None:
    targets.targets["qemu-test/3.0/kernel.efi"].unrecognized_fields.clear()


def with_field(**changed: Any) -> Callable[[Description, Any], Description]:
    def change(described: Description, _targets: Any) -> Description:
        return Description(**{name: getattr(described, name) for name in described.__struct_fields__} | changed)

    return change


@pytest.mark.parametrize(
    "change",
    [
        absurd_length,
        absurd_tree,
        no_kernel,
        parts_of_another,
        no_mark,
        with_field(version="../../../etc/passwd"),
        with_field(version="3.0/../2.0"),
        with_field(version="3.0\n"),
        with_field(version=""),
        with_field(profile="x86-nogpu"),
        with_field(release=2**60),
        with_field(release=-1),
        with_field(root_hash="00" * 32),
        with_field(root_hash="zz"),
        with_field(kernel_hash="11" * 32),
    ],
)
def test_signed_nonsense_is_refused_before_the_other_slot_is_touched(
    victim: Victim, change: Callable[[Description, Any], Description | None]
) -> None:
    before = victim.disk.contents()
    signed(victim, change)
    with pytest.raises(Refused) as refusal:
        offer = victim.offered()
        assert offer is not None
        victim.install(offer)
    assert refusal.value.code == "update_untrusted"
    assert victim.disk.contents() == before


def test_a_kernel_image_for_another_root_is_refused_before_the_other_slot_is_touched(victim: Victim) -> None:
    """The parts are those of a real build, but the kernel image would open another root."""
    own = small_build.content("3.0")
    parts = small_build.write(victim.office.builds, "3.0", own)
    foreign = small_build.kernel("3.0", b"\x07" * 32)
    build = additions.Build.read(parts)
    (parts / "kernel.efi").write_bytes(foreign)
    tree, digest = additions.tree_over(foreign)
    build = additions.Build(parts, build.version, build.profile, build.root_hash, tree, digest)
    opened = victim.office.open()
    additions.add(opened, build, release=3, channel="stable", now=NOW, lifetimes=LIFETIMES)
    victim.office.publish(opened)
    offer = victim.offered()
    assert offer is not None
    partitions = victim.disk.contents().partitions
    with pytest.raises(Refused, match="for another root"):
        victim.install(offer)
    assert victim.disk.contents().partitions == partitions and victim.disk.contents().starts() == "1.0"


# --- Sticks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trap", ["pipe", "link to endless zeros", "folder", "link out", "none"])
def test_a_stick_full_of_traps_is_one_without_releases(victim: Victim, trap: str) -> None:
    stick = victim.folder / "stick"
    shutil.copytree(victim.office.folder, stick)
    file = stick / "metadata/timestamp.json"
    file.unlink()
    if trap == "pipe":
        os.mkfifo(file)
    elif trap == "link to endless zeros":
        file.symlink_to("/dev/zero")
    elif trap == "folder":
        file.mkdir()
    elif trap == "link out":
        file.symlink_to(victim.office.folder / "metadata/timestamp.json")
    victim.refuses(FolderSource(stick), "unreachable")


@pytest.mark.parametrize("path", ["../office", "/etc/passwd", "", ".", "metadata/../../own", "metadata//x", "a\0b"])
def test_no_path_leads_out_of_a_stick(victim: Victim, path: str) -> None:
    with pytest.raises((Unavailable, Malformed)):
        list(victim.honest.pieces(path))
