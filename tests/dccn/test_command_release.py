"""`dccn release` as its people use it: one prepares, another signs on a machine of her own, the folder is published."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.appliance.releases import small_build
from tests.dccn.conftest import Dccn


@pytest.fixture
def folder(tmp_path: Path, dccn: Dccn) -> Path:
    folder = tmp_path / "releases"
    made = dccn("release", "init", str(folder), "--keys-folder", str(tmp_path / "keys"), "--json")
    assert made.code == 0 and made.document["threshold"] == 2
    assert Path(made.document["root"]).is_file()
    return folder


def key(folder: Path, name: str) -> str:
    return str(folder.parent / "keys" / f"{name}.pem")


def test_a_release_goes_from_hand_to_hand_until_it_is_published(folder: Path, tmp_path: Path, dccn: Dccn) -> None:
    update, first, online = small_build.write(tmp_path, "1.0"), key(folder, "release-1"), key(folder, "timestamp")
    added = dccn("release", "add", str(folder), str(update), "--release", "1", "--key", first)
    assert added.code == 0 and "targets has 1 of 2 signatures" in added.out
    stick = tmp_path / "stick"
    for name in ("metadata", "pending"):
        shutil.copytree(folder / name, stick / name)
    assert dccn("release", "sign", str(stick), "--key", key(folder, "release-3")).code == 0
    shutil.copytree(stick / "pending", folder / "pending", dirs_exist_ok=True)
    published = dccn("release", "refresh", str(folder), "--timestamp-key", online, "--json")
    assert published.document["published"] is True
    shown = dccn("release", "show", str(folder))
    assert "stable: release 1, qemu-test 1.0" in shown.out and "2 of these keys" in shown.out


def test_keys_change_with_one_command_when_all_of_them_are_at_hand(folder: Path, tmp_path: Path, dccn: Dccn) -> None:
    fresh, keys = str(tmp_path / "fresh.pem"), [key(folder, f"release-{number}") for number in (1, 2)]
    assert dccn("release", "key", fresh).code == 0
    gone = dccn("release", "show", str(folder), "--json").document["keys"][2]
    signers = [argument for path in keys for argument in ("--key", path)]
    changed = dccn(
        "release", "rotate", str(folder), "--add-key", fresh, "--remove-key", gone[:16], *signers,
        "--timestamp-key", key(folder, "timestamp"), "--json",
    )  # fmt: skip
    assert changed.document["published"] is True
    assert gone not in changed.document["keys"] and len(changed.document["keys"]) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("init", "{folder}/new", "--keys-folder", "{folder}/new/keys"), "served to everybody"),
        (("init", "{folder}", "--keys-folder", "{tmp}/k"), "not empty"),
        (("init", "{tmp}/x", "--keys-folder", "{tmp}/k2", "--keys", "1", "--threshold", "2"), "can never sign"),
        (("show", "{tmp}"), "holds no releases"),
        (("sign", "{folder}", "--key", "{tmp}/keys/release-1.pem"), "nothing waits"),
        (("add", "{folder}", "{tmp}", "--release", "1"), "has no root.erofs"),
        (("refresh", "{folder}", "--timestamp-key", "{tmp}/keys/release-1.pem"), "not the one that renews"),
        (("refresh", "{folder}", "--timestamp-key", "{tmp}/none.pem"), "no release key"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_one_sentence(
    folder: Path, tmp_path: Path, dccn: Dccn, arguments: tuple[str, ...], said: str
) -> None:
    ran = dccn("release", *(each.format(folder=folder, tmp=tmp_path) for each in arguments))
    assert ran.code in (1, 2) and said in ran.err


def test_a_folder_is_checked_from_the_root_that_images_have_to_the_last_byte(
    folder: Path, tmp_path: Path, dccn: Dccn
) -> None:
    update, keys = small_build.write(tmp_path, "1.0"), [key(folder, f"release-{number}") for number in (1, 2)]
    signers = [argument for path in keys for argument in ("--key", path)]
    online = ("--timestamp-key", key(folder, "timestamp"))
    assert dccn("release", "add", str(folder), str(update), "--release", "1", *signers, *online).code == 0
    checked = dccn("release", "verify", str(folder), "--json")
    assert (checked.document["offers"], checked.document["files"]) == (1, 5)
    (other,) = (folder / "targets").rglob("*.kernel.efi")
    other.write_bytes(other.read_bytes()[:-1] + b"x")
    damaged = dccn("release", "verify", str(folder))
    assert damaged.code == 1 and "not the file that was signed" in damaged.err
    strangers = dccn("release", "init", str(tmp_path / "other"), "--keys-folder", str(tmp_path / "k"), "--json")
    foreign = dccn("release", "verify", str(folder), "--root", strangers.document["root"])
    assert foreign.code == 1 and "update_untrusted" in foreign.err


def test_what_waits_can_be_dropped(folder: Path, tmp_path: Path, dccn: Dccn) -> None:
    update = small_build.write(tmp_path, "1.0")
    dccn("release", "add", str(folder), str(update), "--release", "1")
    assert dccn("release", "drop", str(folder)).code == 0
    assert dccn("release", "show", str(folder), "--json").document["pending"] == []


def test_a_hub_that_is_away_is_said_to_be(tmp_path: Path, dccn: Dccn) -> None:
    (tmp_path / "secret").write_text("admin\n")
    ran = dccn("hub", "update", "--page", "http://127.0.0.1:1", "--secret-file", str(tmp_path / "secret"))
    assert ran.code == 3 and "does not answer" in ran.err
