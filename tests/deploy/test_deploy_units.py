"""The units in deploy/: systemd reads them without complaint, they are confined, and their commands exist."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
MOST_EXPOSED = 20
"""Tenths of systemd's scale from 0 (confined) to 10."""

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def command(unit: Path) -> list[str]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return shlex.split(parser["Service"]["ExecStart"])


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_there_is_a_unit_for_every_program_that_runs_for_ever() -> None:
    assert [unit.stem for unit in UNITS] == ["dccn-agent", "dccn-explorer", "dccn-gateway", "dccn-index", "dccn-node"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_reads_it_without_complaint(unit: Path, tmp_path: Path) -> None:
    program = tmp_path / command(unit)[0].removeprefix("/")
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    shutil.copy(unit, units)
    for target in ("network-online", "multi-user", "sysinit", "basic", "shutdown", "time-sync"):
        (units / f"{target}.target").write_text("[Unit]\nDescription=of a whole system\n")
    for slice_ in ("system", "-"):
        (units / f"{slice_}.slice").write_text("[Slice]\n")
    said = analyze("verify", f"--root={tmp_path}", f"/etc/systemd/system/{unit.name}")
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_it_is_confined(unit: Path) -> None:
    said = analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", str(unit))
    assert said.returncode == 0, said.stdout.splitlines()[-1]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_its_command_is_one_of_ours(unit: Path) -> None:
    _, *arguments = command(unit)
    ended = subprocess.run(
        [sys.executable, "-m", "dccn", *arguments, "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0 and "Usage:" in ended.stdout
    options = [argument for argument in arguments[2:] if argument.startswith("--") and "log" not in argument]
    assert all(option in ended.stdout for option in options)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_where_children_are_started_they_can_be(unit: Path) -> None:
    """setpriv sets capabilities, which the filter of privileged calls forbids; so prover and CometBFT never started."""
    if unit.stem in ("dccn-agent", "dccn-node"):
        assert "SystemCallFilter=capset" in unit.read_text().splitlines()
