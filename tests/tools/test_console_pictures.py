"""The documents' pictures of the console show the console of today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import console_pictures

DOCS = Path(__file__).parents[2] / "docs"


def test_the_pictures_are_of_this_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert console_pictures.main(DOCS / "pictures", check=True) == 0, capsys.readouterr().out


def test_a_picture_of_another_program_is_noticed(tmp_path: Path) -> None:
    assert console_pictures.main(tmp_path, check=True) == 1
    assert console_pictures.main(tmp_path, check=False) == 0
    assert console_pictures.main(tmp_path, check=True) == 0
    (tmp_path / "console-claim.svg").write_text("<svg/>")
    assert console_pictures.main(tmp_path, check=True) == 1


def test_they_fetch_nothing_and_every_one_is_in_the_guide() -> None:
    guide = (DOCS / "appliance-owner.md").read_text("utf-8")
    for name in console_pictures.PICTURES:
        picture = (DOCS / "pictures" / name).read_text("utf-8")
        assert "url(" not in picture.replace("url(#", "") and len(picture) < 60_000
        assert f"pictures/{name}" in guide
