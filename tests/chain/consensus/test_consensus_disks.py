"""Simulated networks whose validators log and sign into the real files, which power cuts tear at any byte."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from chain.consensus.byzantine import BEHAVIOURS
from chain.consensus.conditions import Conditions
from chain.consensus.simulator import Simulation
from chain.engines import durable
from chain.engines.height_log import HeightLog
from chain.engines.sign_state import SignState
from tests.chain.consensus.node_with_disk import NodeWithDisk, on_disks

CUTS = Conditions(heights=2, crashes=12, loss=100, partitions=3, pause_us=5_000, faults_end_us=400_000)


def cuts(folder: Path, seeds: Iterable[int], conditions: Conditions) -> int:
    """How many power cuts the runs survived; raises what they do not."""
    survived = 0
    for seed in seeds:
        nodes: list[NodeWithDisk] = []
        home = folder / str(seed)
        home.mkdir()
        try:
            Simulation(random.Random(seed), conditions, seed, on_disks(home, seed, nodes)).run()
        finally:
            for node in nodes:
                node.close()
        survived += sum(node.cuts for node in nodes)
    return survived


def test_power_cuts_at_any_byte_break_no_promise(tmp_path: Path) -> None:
    assert cuts(tmp_path, range(25), CUTS) > 200


@pytest.mark.parametrize("name", ["two-faced", "double-voter", "time-traveller", "replayer"])
def test_power_cuts_among_liars_break_no_promise(tmp_path: Path, name: str) -> None:
    assert cuts(tmp_path, range(4), replace(CUTS, byzantine=(name,))) > 15


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_power_cuts_at_any_byte_over_hundreds_of_seeds(tmp_path: Path) -> None:
    for number, name in enumerate(BEHAVIOURS):
        liars = replace(CUTS, byzantine=(name,))
        assert cuts(tmp_path, range(1_000 * number, 1_000 * number + 15), liars) > 75


def test_a_log_that_is_not_synced_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeightLog, "sync", lambda self: None)
    with pytest.raises(AssertionError, match="lost what was durable"):
        cuts(tmp_path, range(25), CUTS)


def test_a_sign_state_that_is_not_saved_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignState, "save", lambda self: None)
    with pytest.raises(AssertionError, match="forgot a signature"):
        cuts(tmp_path, range(25), CUTS)


def test_a_log_whose_torn_tail_is_believed_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable.zlib, "crc32", lambda data, start=0: 0)
    with pytest.raises(Exception):  # noqa: B017  # whatever the garbage decodes to
        cuts(tmp_path, range(25), CUTS)
