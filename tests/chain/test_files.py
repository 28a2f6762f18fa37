"""Files of a home: old bytes or new ones, whatever stops the writer."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chain import files
from chain.errors import Faulty

BOUNDARIES = ["open", "write", "sync", "rename", "sync_folder"]


class Cut(Exception):
    """The power went."""


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_write_that_is_cut_anywhere_leaves_the_old_bytes_or_the_new_ones(tmp_path: Path, boundary: str) -> None:
    path = tmp_path / "file"
    files.replace(path, b"old")

    def step(name: str) -> None:
        if name == boundary:
            raise Cut

    with pytest.raises(Cut):
        files.replace(path, b"new", step=step)
    assert path.read_bytes() == (b"new" if boundary == "sync_folder" else b"old")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_write_crosses_exactly_these_boundaries(tmp_path: Path) -> None:
    crossed: list[str] = []
    files.replace(tmp_path / "file", b"", step=crossed.append)
    assert crossed == BOUNDARIES


def test_a_secret_is_never_readable_by_others_and_a_folder_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key"
    seen: list[int] = []

    def step(_boundary: str) -> None:
        seen.extend(stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir())

    files.replace(path, b"secret", step=step)
    assert set(seen) == {0o600} and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files.replace(path, b"public", mode=files.PUBLIC_MODE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_create_never_writes_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert files.create(path, b"first")
    assert not files.create(path, b"second")
    assert path.read_bytes() == b"first" and [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_none_is_named_and_a_missing_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(Faulty) as fault:
        files.replace(tmp_path / "a file" / "file", b"")
    assert fault.value.code == "home_invalid" and "a file" in fault.value.message
    assert files.read(tmp_path / "none", 10) is None
    (tmp_path / "long").write_bytes(bytes(20))
    assert len(files.read(tmp_path / "long", 10) or b"") == 11
