"""Programs built with Go: a module of our own becomes a program, and what does not compile says why."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from chain.engines.cometbft.binary import cache
from chain.errors import Unavailable
from tools.engines import golang

MAIN = 'package main\n\nvar said = "nothing"\n\nfunc main() { println(said) }\n'


@pytest.fixture(scope="module")
def go() -> Path:
    if golang.machines_own(golang.MINIMUM) is None and not (cache() / "go-toolchain").is_dir():
        pytest.skip("there is no Go here: make engines")
    return golang.find(cache() / "go-toolchain", lambda line: None)


def module(folder: Path, main: str, requires: str = "") -> Path:
    folder.mkdir()
    (folder / "go.mod").write_text(f"module test\n\ngo 1.22\n{requires}")
    (folder / "main.go").write_text(main)
    return folder


@pytest.mark.engine
def test_a_module_becomes_a_program_with_what_the_linker_was_told(go: Path, tmp_path: Path) -> None:
    golang.build(go, module(tmp_path / "m", MAIN), tmp_path / "program", ["-X main.said=hello"], lambda line: None)
    told = subprocess.run([tmp_path / "program"], capture_output=True, text=True, timeout=30, check=True)
    assert told.stderr == "hello\n"


@pytest.mark.engine
def test_what_does_not_compile_says_why(go: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"building m: .*undefined: nowhere"):
        golang.build(go, module(tmp_path / "m", MAIN + "var x = nowhere\n"), tmp_path / "p", [], lambda line: None)
    assert not (tmp_path / "p").exists()


@pytest.mark.engine
def test_a_module_that_the_sums_do_not_name_is_not_taken(go: Path, tmp_path: Path) -> None:
    """Nothing is fetched for it: a build is of what go.sum pins, or it is none."""
    wants = module(tmp_path / "m", 'package main\n\nimport _ "example.org/other"\n\nfunc main() {}\n')
    with pytest.raises(Unavailable, match=r"example\.org/other: import lookup disabled"):
        golang.build(go, wants, tmp_path / "p", [], lambda line: None)
