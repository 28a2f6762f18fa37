"""Which kernel image the boot loader starts: laws of the model, and the model against systemd itself."""

from __future__ import annotations

import functools
import random
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.agent.updates import boot_entries
from appliance.agent.updates.boot_entries import Entry
from chain.errors import Malformed

VERSIONS = st.from_regex(r"[0-9a-z]{1,4}([.~^-][0-9a-z]{1,3}){0,3}", fullmatch=True)
ENTRIES = st.builds(Entry, VERSIONS, st.none() | st.integers(0, 5), st.just(0)) | st.builds(
    Entry, VERSIONS, st.integers(0, 5), st.integers(0, 5)
)
NAMES = st.lists(ENTRIES.map(lambda entry: entry.name), unique=True)
OLD_TO_NEW = [
    "122.1", "123~rc1-1", "123", "123-a", "123-a.1", "123-1", "123-1.1", "123^post1", "123.a-1", "123.1-1", "123a-1",
    "124-1",
]  # fmt: skip
"""The order that systemd's own documentation of its versions shows."""


@given(ENTRIES)
def test_a_name_is_read_back_as_the_entry_that_it_was_made_of(entry: Entry) -> None:
    assert boot_entries.parse(entry.name) == entry
    assert boot_entries.parse(entry.name.upper()) == entry


@pytest.mark.parametrize(
    "name",
    ["", "dccn_.efi", "dccn_1.efi.new", "dccn_1+.efi", "dccn_1+3-.efi", "dccn_1+3-1-1.efi", "dccn_1+3+2.efi", "1.efi",
     "dccn_1..2.efi", "dccn_1+-3.efi", "dccn_1 .efi", ".new/dccn_1.efi", "dccn_1+9999999999.efi", "dccn_\u0661.efi"],
)  # fmt: skip
def test_a_name_that_the_loader_reads_otherwise_is_none_of_ours(name: str) -> None:
    assert boot_entries.parse(name) is None
    assert boot_entries.choose([name, "dccn_0.efi"]) == "dccn_0.efi"


@pytest.mark.parametrize("version", ["", "1.0-", "A", "1+2", "1/2", "1..2", "1 ", "über", "-1"])
def test_a_version_that_no_name_can_hold_is_refused(version: str) -> None:
    with pytest.raises(Malformed, match="cannot be its name"):
        boot_entries.fresh(version)


@given(NAMES, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_the_directory_or_on_other_files(
    names: list[str], shuffle: random.Random
) -> None:
    mixed = [*names, ".new", "README", "dccn_9.efi.part"]
    shuffle.shuffle(mixed)
    assert boot_entries.choose(mixed) == boot_entries.choose(names)
    assert set(boot_entries.in_order(mixed)) == set(names)


@given(NAMES)
def test_a_spent_entry_is_chosen_only_when_there_is_no_other(names: list[str]) -> None:
    chosen = boot_entries.choose(names)
    if chosen is None:
        assert not names
        return
    entry = boot_entries.parse(chosen)
    others = [boot_entries.parse(name) for name in names]
    assert entry is not None
    assert not entry.is_spent or all(other is not None and other.is_spent for other in others)


@given(VERSIONS, VERSIONS, st.integers(1, 5))
def test_a_newer_system_that_never_proves_itself_gets_its_tries_and_then_the_old_one_is_back(
    old: str, new: str, tries: int
) -> None:
    if boot_entries.version_key(old) >= boot_entries.version_key(new):
        old, new = new, old
    if boot_entries.version_key(old) == boot_entries.version_key(new):
        return
    names = [Entry(old).name, Entry(new, tries).name]
    started = []
    for _ in range(tries + 2):
        chosen = boot_entries.choose(names)
        assert chosen is not None
        entry = boot_entries.parse(chosen)
        assert entry is not None
        started.append(entry.version)
        names[names.index(chosen)] = entry.attempted().name
    assert started == [new] * tries + [old] * 2


@given(ENTRIES)
def test_blessing_takes_the_counter_off_and_is_final(entry: Entry) -> None:
    blessed = entry.attempted().blessed()
    assert blessed.name == f"dccn_{entry.version}.efi"
    assert blessed.attempted() == blessed == blessed.blessed()


@given(st.lists(ENTRIES))
def test_two_entries_of_one_version_are_found(entries: list[Entry]) -> None:
    names = list({entry.name for entry in entries})
    versions = {boot_entries.version_key(entry.version) for entry in entries}
    assert (boot_entries.doubles(names) == []) == (len(versions) == len(names))


def test_a_version_with_leading_zeros_is_the_same_version_as_one_without() -> None:
    assert boot_entries.doubles(["dccn_1.0.efi", "dccn_01.0+3.efi", "dccn_2.efi"]) == [
        "dccn_1.0.efi",
        "dccn_01.0+3.efi",
    ]


def test_an_entry_that_counts_comes_before_one_of_the_same_version_that_does_not() -> None:
    names = ["dccn_1.efi", "dccn_1+2-1.efi", "dccn_1+0-3.efi", "dccn_1+2.efi", "dccn_1+3.efi"]
    assert boot_entries.in_order(names) == [names[4], names[3], names[1], names[0], names[2]]


def test_versions_are_in_the_order_that_systemd_documents() -> None:
    keys = [boot_entries.version_key(version) for version in OLD_TO_NEW]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="comparing with systemd takes systemd-analyze")
def test_versions_compare_as_systemd_compares_them() -> None:
    shuffle = random.Random(7)
    alphabet = ["0", "1", "2", "10", "01", "a", "b", "ab", "rc1", "post", "12ab3"]
    compared = 0
    for _ in range(150):
        pair = [_version(shuffle, alphabet) for _ in range(2)]
        keys = [boot_entries.version_key(version) for version in pair]
        assert (keys[0] > keys[1]) - (keys[0] < keys[1]) == _systemd_compares(*pair), pair
        compared += keys[0] != keys[1]
    assert compared > 100


def _version(shuffle: random.Random, alphabet: list[str]) -> str:
    runs = [shuffle.choice(alphabet) for _ in range(shuffle.randint(1, 3))]
    return functools.reduce(lambda text, run: text + shuffle.choice(".~^-") + run, runs)


def _systemd_compares(one: str, other: str) -> int:
    """-1, 0 or 1; the sign is told by the exit status (rpmdev-vercmp's convention)."""
    done = subprocess.run(["systemd-analyze", "compare-versions", one, other], capture_output=True, check=False)
    return {0: 0, 11: 1, 12: -1}[done.returncode]
