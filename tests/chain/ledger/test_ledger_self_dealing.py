"""A search for profitable self-dealing and Sybil strategies over random economies: it finds none, and can find one.

Each strategy is paired with the honest life of the same owner in the same economy, so only what it changes counts.
"""

from __future__ import annotations

import random
from dataclasses import fields, replace
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.ledger import quality as q
from chain.ledger import service_levels
from chain.ledger.parameters import Parameters
from chain.wire.state import ServiceLevel
from tests.chain.ledger.self_dealing import Outcome, Strategy, outcome

SHARES = (1, 10, 100, 500, 900)
"""Permille of all work that the owner does."""

RANGES: dict[str, tuple[int, ...]] = {
    "accounts": (1, 2, 3, 5),
    "own_deals": (0, 1, 2, 5, 10),
    "deal_ankr": (1, 10, 100, 1_000, 10_000),
    "own_stars": (0, 1, 5),
    "own_failures": (0, 1, 3),
    "ruined_deals": (0, 1, 2, 4, 10),
    "ruined_fail": (0, 1),
    "round_trips": (0, 1, 3),
    "donated_ankr": (0, 1, 1_000),
}
strategies = st.builds(Strategy, **{name: st.sampled_from(values) for name, values in RANGES.items()})
ROUNDING_PPM = 4  # isqrt and `//` of each account


@lru_cache
def honest(share_permille: int) -> Outcome:
    return outcome(Strategy(), share_permille)


def profit(strategy: Strategy, share_permille: int) -> tuple[float, int]:
    """What the strategy brings: ANKR, and permille of a million of the election's weights."""
    mine, fair = outcome(strategy, share_permille), honest(share_permille)
    return (mine.wealth_atto - fair.wealth_atto) / 10**18, mine.weight_ppm - fair.weight_ppm


def climb(dice: random.Random, lives: int, best_of: int = 0) -> tuple[float, Strategy, int]:
    """Hill climbing from random starts for profit (or weight, `best_of` 1): the best found, and in whose economy."""
    found, where = (float("-inf"), Strategy(), 0), 0
    here, share, value = Strategy(), 500, float("-inf")
    for life in range(lives):
        if life % 25 == 0:
            here = Strategy(**{name: dice.choice(values) for name, values in RANGES.items()})
            share, value = dice.choice(SHARES), float("-inf")
        where = dice.randrange(len(fields(Strategy)))
        name = fields(Strategy)[where].name
        there = replace(here, **{name: dice.choice(RANGES[name])})
        gained = profit(there, share)[best_of]
        if gained >= value:
            here, value = there, gained
        if gained > found[0]:
            found = gained, there, share
    return found


@given(strategies, st.sampled_from(SHARES))
@settings(max_examples=60)
def test_no_strategy_pays_or_raises_the_weight_in_elections(strategy: Strategy, share_permille: int) -> None:
    ankr, weight_ppm = profit(strategy, share_permille)
    assert ankr <= 0
    assert weight_ppm <= ROUNDING_PPM


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(3))
def test_a_climber_finds_no_profit(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    ankr, strategy, share = climb(random.Random(seed), 300)
    weight_ppm, _, _ = climb(random.Random(seed), 100, best_of=1)
    with capsys.disabled():
        print(f"\nself-dealing, seed {seed}: at best {ankr:.3f} ANKR in 300 lives, by {strategy} at {share} permille")
    assert ankr <= 0
    assert weight_ppm <= ROUNDING_PPM


def for_sale(level: ServiceLevel, p: Parameters) -> ServiceLevel:
    """The rule as it was: what deals say of an owner counts for its reward and its weight."""
    level = fair(level, p)
    return level.__class__(**{**_fields(level), "proven_quality": level.quality, "proven_level": level.service_level})


fair = service_levels.with_figures


def _fields(level: ServiceLevel) -> dict[str, object]:
    return {name: getattr(level, name) for name in level.__struct_fields__}


@pytest.fixture
def _for_sale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_levels, "with_figures", for_sale)
    honest.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("_for_sale")
def test_the_search_finds_what_deals_with_oneself_brought_while_they_counted() -> None:
    ankr, strategy, _ = climb(random.Random(1), 100)
    assert ankr > 100 and (strategy.own_deals or strategy.ruined_deals)
    weight_ppm, _, _ = climb(random.Random(1), 100, best_of=1)
    assert weight_ppm > 1_000
    honest.cache_clear()


def test_deals_and_ratings_are_seen_by_customers_all_the_same() -> None:
    p = Parameters()
    level = replace_counts(service_levels.newcomer(p), tasks_done=50, ratings=10, stars_sum=50)
    better = service_levels.with_figures(level, p)
    worse = service_levels.with_figures(replace_counts(level, tasks_done=0, tasks_failed=50, stars_sum=10), p)
    assert better.quality > worse.quality
    assert better.proven_quality == worse.proven_quality == service_levels.newcomer(p).quality
    assert q.rating(0, 0) == 625_000 and q.success_rate(0, 0) == 500_000


def replace_counts(level: ServiceLevel, **counts: int) -> ServiceLevel:
    scaled = {name: count * q.SCALE if name.startswith("tasks") else count for name, count in counts.items()}
    return ServiceLevel(**{**_fields(level), **scaled})  # type: ignore[arg-type]
