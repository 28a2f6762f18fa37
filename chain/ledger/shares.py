"""Dividing an amount by integers without losing or making a unit."""

from __future__ import annotations

from collections.abc import Sequence


def share(pool: int, part: int, total: int) -> int:
    """`pool * part // total`, and 0 of an empty sum. Monotone in `part`; shares of all parts never exceed `pool`."""
    return pool * part // total if total else 0


def largest_remainder(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` divided by `weights`, each share within one unit of exact, their sum exactly `amount`.

    Units left over by floor division go to the largest remainders, ties to the earlier place. With no weight above 0
    nobody gets anything. Source: economics.md, deal fee (1 000 003 -> 50 000 -> 15 000/15 000/20 000).
    """
    total = sum(weights)
    if not total:
        return [0] * len(weights)
    shares = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(amount * weights[place] % total), place))
    for place in by_remainder[: amount - sum(shares)]:
        shares[place] += 1
    return shares
