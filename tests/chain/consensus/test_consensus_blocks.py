"""Simulated networks that decide on real blocks: four real applications judge them, beacon proof and all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain.application import beacons
from chain.consensus.conditions import Conditions, SimulationFailure
from chain.consensus.simulator import Simulation
from tests.chain.consensus.real_blocks import RealBlocks

LIARS = ["bad-beacon", "two-faced", "equivocating-proposer", "usurper", "amnesiac", "replayer"]


def conditions(*liars: str) -> Conditions:
    return Conditions(
        byzantine=liars, heights=5, crashes=4, loss=150, partitions=2, pause_us=5_000, faults_end_us=200_000
    )


@contextmanager
def blocks(folder: Path) -> Iterator[RealBlocks]:
    folder.mkdir()
    made = RealBlocks(folder)
    try:
        yield made
    finally:
        made.close()


def simulate(seed: int, given: Conditions, values: RealBlocks) -> Simulation:
    return Simulation(random.Random(seed), given, seed, values=values).run()


@pytest.mark.parametrize("liar", LIARS)
def test_all_applications_run_the_same_blocks_whoever_lies(liar: str, tmp_path: Path) -> None:
    refused = 0
    for seed in range(3):
        with blocks(tmp_path / str(seed)) as made:
            run = simulate(seed, conditions(liar), made)
        assert len(made.app_hashes) >= 5
        assert all(len(hashes) == 1 for hashes in made.app_hashes.values())
        assert all(not value.startswith(b"!") for value in run.decided.values())
        # The applications refuse what is marked as bad, or no block, and nothing else.
        marked = {name: name.startswith((b"!", b"usurped")) for name in made.verdicts}
        assert {name: not verdict for name, verdict in made.verdicts.items()} == marked
        refused += sum(marked.values())
    assert refused > 0 or liar not in ("bad-beacon", "usurper")


def test_every_way_to_choose_a_beacon_is_refused_by_the_real_application(tmp_path: Path) -> None:
    with blocks(tmp_path / "blocks") as made:
        for height in range(1, 7):
            name = b"%d" % height
            made.build(0, height, name)
            assert made.is_valid(0, height, name)
            assert not made.is_valid(0, height, b"!" + name)
            made.decide(0, height, name)
    assert sorted(made.verdicts.values()) == [False] * 6 + [True] * 6


def test_an_application_that_believes_every_proof_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beacons, "_verified", lambda public, alpha, pi: bytes(64))
    with blocks(tmp_path / "blocks") as made, pytest.raises(SimulationFailure, match="validity"):
        simulate(1, conditions("bad-beacon"), made)
