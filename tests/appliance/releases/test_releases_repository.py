"""A release folder: who must sign what, on which machine, and what it takes to be published."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata

from appliance.image.measurement import measured_sections, pcr11
from appliance.releases import additions, keys, repository, rotation
from appliance.releases.repository import Repository
from chain.errors import Faulty, Malformed, Refused
from fleet.protocol.measured_image import APPLICATIONS, MeasuredImage
from tests.appliance.releases import small_build
from tests.appliance.releases.office import LIFETIMES, NOW, Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_release_is_published_when_the_second_key_has_signed_it_and_not_before(office: Office) -> None:
    opened = office.add("1.0", 1)
    assert office.publish(opened, office.keys[0]) is False
    assert additions.releases(office.open().targets) == []
    assert office.open().progress() == [repository.Progress("targets", 1, 2)]
    assert office.publish(office.open(), office.keys[2]) is True
    expected = {"channel": "stable", "release": 1, "profile": "qemu-test", "version": "1.0"}
    assert additions.releases(office.open().targets) == [expected]
    assert office.open().pending == {}


def test_the_same_key_twice_is_one_signature(office: Office) -> None:
    opened = office.add("1.0", 1)
    assert office.publish(opened, office.keys[0], office.keys[0]) is False
    assert office.open().progress()[0].signed == 1


def test_a_signature_can_be_added_on_a_machine_that_has_none_of_the_parts(office: Office, tmp_path: Path) -> None:
    office.add("1.0", 1).sign([office.keys[0]])
    stick = tmp_path / "stick"
    for name in (repository.METADATA, repository.PENDING):
        shutil.copytree(office.folder / name, stick / name)
    Repository.open(stick).sign([office.keys[1]])
    shutil.copytree(stick / repository.PENDING, office.folder / repository.PENDING, dirs_exist_ok=True)
    assert office.open().publish(office.online, NOW, LIFETIMES) is True


def test_a_key_of_somebody_else_has_no_say(office: Office, tmp_path: Path) -> None:
    opened = office.add("1.0", 1)
    with pytest.raises(Refused, match="no say"):
        opened.sign([keys.make(tmp_path / "stranger.pem")])
    with pytest.raises(Refused, match="no say"):
        opened.sign([office.online])
    with pytest.raises(Refused, match="not the one that renews"):
        opened.publish(office.keys[0], NOW, LIFETIMES)


@pytest.mark.parametrize(("version", "release", "said"), [("2.0", 1, "not above 1"), ("0.9", 2, "not newer than 1.0")])
def test_numbers_and_versions_only_grow(office: Office, version: str, release: int, said: str) -> None:
    office.publish(office.add("1.0", 1))
    with pytest.raises(Refused, match=said):
        office.add(version, release)
    assert office.open().pending == {}


def test_each_profile_has_numbers_of_its_own(office: Office) -> None:
    office.publish(office.add("1.0", 1))
    office.publish(office.add("1.0", 1, profile="x86-nogpu"))
    assert [one["profile"] for one in additions.releases(office.open().targets)] == ["qemu-test", "x86-nogpu"]


@pytest.mark.parametrize("part", ["root.erofs", "root.verity", "kernel.efi"])
def test_a_build_with_a_damaged_or_missing_part_is_refused(office: Office, part: str) -> None:
    folder = small_build.write(office.builds, "1.0")
    data = bytearray((folder / part).read_bytes())
    at = bytes(data).find(b"dccn.roothash=") + 20 if part == "kernel.efi" else len(data) // 2
    data[at] ^= 1
    (folder / part).write_bytes(data)
    with pytest.raises(Refused, match="do not belong together"):
        additions.Build.read(folder)
    (folder / part).unlink()
    with pytest.raises(Refused, match=f"has no {part}"):
        additions.Build.read(folder)


def test_a_release_tells_hubs_what_its_boots_leave_in_a_tpm(office: Office) -> None:
    folder = small_build.write(office.builds, "1.0")
    image = measured(folder)
    (folder / "measured.json").write_text(json.dumps(image.document()))
    opened = office.open()
    build = additions.Build.read(folder)
    additions.add(opened, build, release=1, channel="stable", now=NOW, lifetimes=LIFETIMES)
    office.publish(opened)
    (prefixed,) = office.open().targets.targets["qemu-test/1.0/measured.json"].get_prefixed_paths()
    assert MeasuredImage.from_json((office.folder / "targets" / prefixed).read_bytes()) == image


@pytest.mark.parametrize("damage", ["another kernel image", "no JSON"])
def test_a_word_about_another_kernel_image_is_refused(office: Office, damage: str) -> None:
    folder = small_build.write(office.builds, "1.0")
    image = measured(small_build.write(office.builds, "1.1"))
    (folder / "measured.json").write_text(json.dumps(image.document()) if "kernel" in damage else "{")
    with pytest.raises(Refused, match=r"release_invalid: .*measured.json"):
        additions.Build.read(folder)


def measured(folder: Path) -> MeasuredImage:
    """As the builder predicts it; the digests of programs are nobody's."""
    sections = measured_sections((folder / "kernel.efi").read_bytes())
    digests = dict.fromkeys(APPLICATIONS, b"d" * 32)
    return MeasuredImage("qemu-test 1.0", pcr11(sections), dict.fromkeys(sections, b"s" * 32), digests, "ro")


def test_new_keys_need_the_word_of_the_old_ones_and_their_own(office: Office, tmp_path: Path) -> None:
    office.publish(office.add("1.0", 1))
    opened, fresh = office.open(), keys.make(tmp_path / "fresh.pem")
    gone = office.keys[0]
    rotation.rotate(opened, add=[fresh.public_key], remove=[gone.public_key.keyid[:12]], now=NOW, lifetimes=LIFETIMES)
    assert office.publish(opened, fresh) is False
    assert office.publish(opened, gone) is False, "the old keys ask for two of theirs"
    assert office.publish(opened, office.keys[1]) is True
    assert set(office.open().root.roles["targets"].keyids) == {
        signer.public_key.keyid for signer in (*office.keys[1:], fresh)
    }
    later = office.add("2.0", 2)
    with pytest.raises(Refused, match="no say"):
        later.sign([gone])
    assert office.publish(later, fresh, office.keys[2]) is True


def test_so_few_keys_that_nothing_could_be_signed_are_refused(office: Office) -> None:
    ids = [signer.public_key.keyid for signer in office.keys]
    with pytest.raises(Refused, match="could never be had"):
        rotation.rotate(office.open(), remove=ids[:2], now=NOW, lifetimes=LIFETIMES)
    with pytest.raises(Malformed, match="names 0 of the keys"):
        rotation.rotate(office.open(), remove=["0" * 12], now=NOW, lifetimes=LIFETIMES)


def test_a_new_key_for_the_timestamp_takes_over_with_the_next_root(office: Office, tmp_path: Path) -> None:
    office.publish(office.add("1.0", 1))
    opened, fresh = office.open(), keys.make(tmp_path / "timestamp-2.pem")
    rotation.rotate(opened, online=fresh, now=NOW, lifetimes=LIFETIMES)
    opened.sign(office.keys[:2])
    with pytest.raises(Refused, match="not the one"):
        opened.publish(office.online, NOW, LIFETIMES)
    assert opened.publish(fresh, NOW, LIFETIMES) is True
    with pytest.raises(Refused, match="not the one"):
        office.open().publish(office.online, NOW, LIFETIMES)


def test_refreshing_moves_only_snapshot_and_timestamp(office: Office) -> None:
    before, later = office.open(), NOW + timedelta(days=20)
    office.open().publish(office.online, later, LIFETIMES)
    after = office.open()
    versions = {role: after.roles[role].signed.version - before.roles[role].signed.version for role in after.roles}
    assert versions == {"root": 0, "targets": 0, "snapshot": 1, "timestamp": 1}
    assert after.roles["timestamp"].signed.expires == later + LIFETIMES.online


def test_releases_beyond_the_newest_three_leave_the_folder(office: Office) -> None:
    for number in range(1, 6):
        office.publish(office.add(f"{number}.0", number))
        additions.sweep(office.open())
    kept = {target.custom["release"] for target in office.open().targets.targets.values()}
    assert kept == {3, 4, 5}
    files = {path.parent.name for path in (office.folder / repository.TARGETS).rglob("*.root.erofs")}
    assert files == {"3.0", "4.0", "5.0"}


def test_only_one_change_waits_at_a_time(office: Office) -> None:
    office.add("1.0", 1)
    with pytest.raises(Refused, match="waits"):
        office.add("2.0", 2)
    office.open().drop_pending()
    assert office.publish(office.add("3.0", 3)) is True


def test_a_key_that_others_can_read_does_not_sign_and_none_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keys.make(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Malformed, match="exists already"):
        keys.make(path)
    path.chmod(0o640)
    with pytest.raises(Refused, match="others can read"):
        keys.load(path)
    path.chmod(0o600)
    path.write_text("-----BEGIN")
    with pytest.raises(Malformed, match="not an Ed25519 key"):
        keys.load(path)
    with pytest.raises(Malformed, match="no release key"):
        keys.load(tmp_path / "none.pem")


def test_a_folder_that_is_in_use_or_damaged_is_said_to_be(office: Office, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="not empty"):
        repository.create(office.folder, office.keys, 2, office.online, NOW, LIFETIMES)
    with pytest.raises(Malformed, match="holds no releases"):
        Repository.open(tmp_path)
    (office.folder / repository.METADATA / "timestamp.json").write_text("{}")
    with pytest.raises(Faulty, match="no TUF metadata"):
        office.open()


def test_metadata_is_as_the_specification_has_it(office: Office) -> None:
    """Read back by python-tuf with nothing of ours in between."""
    office.publish(office.add("1.0", 1))
    folder = office.folder / repository.METADATA
    root = Metadata.from_file(str(folder / "1.root.json"))
    for role, name in (("targets", "2.targets"), ("snapshot", "3.snapshot"), ("timestamp", "timestamp")):
        signed = Metadata.from_file(str(folder / f"{name}.json"))
        root.signed.verify_delegate(role, signed.signed_bytes, signed.signatures)
    assert root.signed.consistent_snapshot is True
