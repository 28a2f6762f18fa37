"""What an image is made of: the lock of its packages and its bill of materials, from what the archive itself says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.image import agent_tree, packages, sbom
from appliance.image.packages import Package
from chain.errors import Faulty, Malformed

INDEX = """\
Package: bash
Architecture: amd64
Version: 5.2.15-2+b13
Description: shell
 with a second line
SHA256: {a}

Package: adduser
Version: 3.134
Architecture: all
SHA256: {b}

Package: bash
Version: 4.0
Architecture: amd64
SHA256: {c}
""".format(a="a" * 64, b="b" * 64, c="c" * 64)
BASH = Package("bash", "5.2.15-2+b13", "amd64", "a" * 64)
ADDUSER = Package("adduser", "3.134", "all", "b" * 64)

words = st.from_regex(r"[a-z0-9][a-z0-9+.~:-]{0,20}", fullmatch=True)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
parts = st.builds(Package, words, words, st.sampled_from(("amd64", "all")), digests)
lists = st.lists(parts, max_size=10, unique_by=lambda one: one.name)


def test_the_lock_has_what_is_installed_with_the_archives_hashes() -> None:
    installed = [("bash", "5.2.15-2+b13", "amd64"), ("adduser", "3.134", "all")]
    assert packages.locked(installed, [INDEX]) == [BASH, ADDUSER]
    with pytest.raises(Faulty, match=r"does not name bash 5\.3"):
        packages.locked([("bash", "5.3", "amd64")], [INDEX])


@given(lists)
def test_a_lock_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, found: list[Package]) -> None:
    path = tmp_path_factory.mktemp("lock") / "packages.lock"
    path.write_text(packages.write(found))
    assert packages.read(path) == sorted(found)
    packages.check(found, packages.read(path), path)


@pytest.mark.parametrize("line", ["bash", "bash 1 amd64 abc", f"bash 1 amd64 {'A' * 64}", f"b ash 1 amd64 {'a' * 64}"])
def test_a_line_that_is_no_package_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "packages.lock"
    path.write_text(f"# head\n{line}\n")
    with pytest.raises(Malformed, match="line 2"):
        packages.read(path)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([BASH], "adduser: 3.134 .* in the lock, none in the archive"),
        ([BASH, ADDUSER, Package("zsh", "1", "all", "d" * 64)], "zsh: none in the lock, 1"),
        ([BASH, Package("adduser", "3.135", "all", "b" * 64)], "adduser: 3.134 .* in the lock, 3.135"),
        ([BASH, Package("adduser", "3.134", "all", "e" * 64)], "adduser: 3.134 .bbb.* in the lock, 3.134 .eee"),
    ],
    ids=["one is gone", "one is new", "one is newer", "one is another file"],
)
def test_other_packages_than_the_locks_are_refused_by_name(found: list[Package], said: str) -> None:
    with pytest.raises(Faulty, match=said):
        packages.check(found, [BASH, ADDUSER], Path("packages.lock"))


def bill(**changed: object) -> bytes:
    parts: dict[str, object] = {"packages": [BASH, ADDUSER], "libraries": {"cbor2": "6.2", "dccn": "0.1.0"}}
    given = {"name": "dccn-qemu-test", "version": "1", "suite": "bookworm", "epoch_s": 1_767_225_600}
    return sbom.document(**{**given, **parts, **changed})  # type: ignore[arg-type]


def test_the_bill_of_materials_names_every_part_once_and_depends_on_nothing_else() -> None:
    document = json.loads(bill())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    references = [part["bom-ref"] for part in document["components"]]
    assert references == [
        "pkg:deb/debian/adduser@3.134?arch=all&distro=bookworm",
        "pkg:deb/debian/bash@5.2.15-2%2Bb13?arch=amd64&distro=bookworm",
        "pkg:pypi/cbor2@6.2",
        "pkg:pypi/dccn@0.1.0",
    ]
    assert document["dependencies"] == [{"ref": "dccn-qemu-test", "dependsOn": references}]


def test_the_same_parts_give_the_same_bill_and_others_another_number() -> None:
    assert bill() == bill(packages=[ADDUSER, BASH])
    numbers = {json.loads(each)["serialNumber"] for each in (bill(), bill(packages=[BASH]), bill(version="2"))}
    assert len(numbers) == 3


def test_every_version_that_the_lock_has_of_a_library_is_offered_to_pip() -> None:
    blocks = agent_tree.locked()
    assert all(agent_tree.normalised(name) in blocks for name in agent_tree.LIBRARIES)
    first_lines = agent_tree.LOCK.read_text().splitlines()
    numpys = [line for line in first_lines if line.startswith("numpy==")]
    assert [line for line in blocks["numpy"].splitlines() if line.startswith("numpy==")] == numpys != []
