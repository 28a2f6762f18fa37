"""Thousands of networks, each drawn whole from its number: size, powers, liars, twins, weather, clocks.

A number that fails is printed with the line that replays it; it then goes into `FOUND`, and is run every time.
`DCCN_FIRST_SEED` begins elsewhere, `DCCN_SEED_SECONDS` goes on for longer.
"""

from __future__ import annotations

import os
import random
import time
from itertools import count

import pytest

from chain.consensus.byzantine import BEHAVIOURS
from chain.consensus.conditions import MAX_CLOCK_SKEW, Conditions, SimulationFailure
from chain.consensus.simulator import Simulation

# Numbers and conditions that once failed, and what they found.
FOUND = [
    # A peer that is behind was sent a proposal with an impossible polka round in place of the one that was decided.
    (13, Conditions(byzantine=("time-traveller",), heights=2, clock_skew=300, loss=200, partitions=3, pause_us=2_000,
                    faults_end_us=200_000)),
    # An early message that the core had no room for was not logged when it was told again, and a crash would forget it.
    (199, Conditions(byzantine=("time-traveller",), heights=2, clock_skew=300, loss=200, partitions=3, pause_us=2_000,
                     faults_end_us=200_000)),
    # After a crash a node took its own vote of the height before, which a peer repeated, for the one that it owed.
    (113193, Conditions(validators=5, byzantine=("bad-beacon",), heights=2, pause_us=1_000, powers=(9, 1, 6, 6, 2),
                        clock_skew=341, loss=100, duplicates=50, partitions=2, crashes=3, faults_end_us=100_000)),
    # Who had named four other values was not heard for the fifth, with which others had decided: all stood still.
    (249533, Conditions(validators=10, byzantine=("precommit-withholder", "double-voter", "usurper"), heights=1,
                        pause_us=1_000, delay_us=(100, 20_000), loss=100, duplicates=50, faults_end_us=300_000)),
]  # fmt: skip
FIRST_SEED = int(os.environ.get("DCCN_FIRST_SEED", "10000"))
SECONDS = float(os.environ.get("DCCN_SEED_SECONDS", "30"))
LEAST_SEEDS = 3_000


def conditions_of(seed: int) -> Conditions:
    """The network of a number: less than a third of the power is bad, and everything else may be."""
    dice = random.Random(f"conditions {seed}")
    validators = dice.choice([4, 4, 4, 5, 7, 7, 10])
    bad = dice.randint(1, (validators - 1) // 3) if dice.getrandbits(2) else 0
    twins = 0 if dice.getrandbits(2) else dice.randint(0, bad)
    powers = tuple(dice.randint(1, 9) for _ in range(validators)) if dice.getrandbits(1) else ()
    suspects = powers[:twins] + powers[validators - bad + twins :]
    if 3 * sum(suspects) >= sum(powers):
        powers = ()
    return Conditions(
        validators=validators,
        twins=twins,
        byzantine=tuple(dice.choices(list(BEHAVIOURS), k=bad - twins)),
        heights=dice.randint(1, 3),
        pause_us=dice.choice([0, 1_000, 5_000]),
        powers=powers,
        delay_us=(100, dice.choice([1_000, 2_000, 20_000])),
        clock_skew=dice.choice([0, 100, MAX_CLOCK_SKEW]),
        loss=dice.choice([0, 100, 300]),
        duplicates=dice.choice([0, 50]),
        partitions=dice.randint(0, 6),
        crashes=dice.choice([0, 3, 8]),
        faults_end_us=dice.choice([100_000, 300_000, 600_000]),
    )


def failure(seed: int, conditions: Conditions) -> str | None:
    try:
        Simulation(random.Random(seed), conditions, seed).run()
    except SimulationFailure as broken:
        return str(broken)
    return None


@pytest.mark.parametrize(("seed", "conditions"), FOUND, ids=[str(seed) for seed, _ in FOUND])
def test_a_number_that_once_failed_does_not_fail_again(seed: int, conditions: Conditions) -> None:
    assert failure(seed, conditions) is None


def test_the_networks_of_the_first_hundred_numbers() -> None:
    assert [broken for seed in range(100) if (broken := failure(seed, conditions_of(seed)))] == []


def test_the_numbers_draw_everything_that_there_is() -> None:
    drawn = [conditions_of(seed) for seed in range(2_000)]
    assert {name for each in drawn for name in each.byzantine} == set(BEHAVIOURS)
    assert any(each.twins and each.byzantine and each.powers and each.crashes and each.partitions for each in drawn)
    assert all(3 * (each.twins + len(each.byzantine)) < each.validators for each in drawn)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousands_of_networks(capsys: pytest.CaptureFixture[str]) -> None:
    begun_s, liars = time.monotonic(), 0
    broken: list[str] = []
    for number in count():
        if number >= LEAST_SEEDS and time.monotonic() - begun_s >= SECONDS:
            break
        conditions = conditions_of(FIRST_SEED + number)
        found = failure(FIRST_SEED + number, conditions)
        liars += bool(conditions.byzantine)
        if found:
            broken.append(found)
    with capsys.disabled():
        taken_s = time.monotonic() - begun_s
        print(f"\nseeds {FIRST_SEED} to {FIRST_SEED + number - 1}: {number} networks, {liars} with liars, "
              f"{len(broken)} broken, in {taken_s:.0f} s")  # fmt: skip
    assert broken == [], "\n".join(broken[:5])
