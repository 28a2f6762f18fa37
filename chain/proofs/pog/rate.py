"""From rows in a time to a rate, and from a rate to proven work."""

from __future__ import annotations

from collections.abc import Sequence

from chain.proofs.pog.profiles import Profile

MICRO_ANKR_PER_HOUR_PER_TERA_OP = 1_000_000
"""Reference price of one tera-operation per second (economics.md, service level); a chain parameter's default."""

OPERATIONS_PER_TERA = 10**12
RATE_WINDOW = 8
"""A GPU's rate is the median of its last 8 passed challenges."""


def operations_per_second(profile: Profile, rows: int, elapsed_ms: int) -> int:
    """2·n·K·w / elapsed, rounded down."""
    assert elapsed_ms > 0
    return profile.operations(rows) * 1_000 // elapsed_ms


def median_rate(rates: Sequence[int]) -> int:
    """Lower median of the last RATE_WINDOW rates, 0 when there is none: unproven counts as nothing."""
    last = sorted(rates[-RATE_WINDOW:])
    return last[(len(last) - 1) // 2] if last else 0


def work_micro_ankr_per_hour(rate: int, price: int = MICRO_ANKR_PER_HOUR_PER_TERA_OP) -> int:
    """Verified work V of a compute rate in operations per second, at the chain's reference price per tera-op/s."""
    return rate * price // OPERATIONS_PER_TERA
