"""Adversaries that split: the table in docs/economics.md is what elections give, and splitting beyond the cap is vain.

To compute the table anew, with a thousand elections for each cell: python -m tests.chain.test_slsbft_split
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import pytest

from chain.slsbft import Operator, elect

DOC = Path(__file__).parents[2] / "docs" / "economics.md"
HONEST, SEATS, KEYS = 50, 100, 10
PARTS = (1, 2, 4, 10, 100)
SHARES = (50, 100, 200, 250, 330)
UNIT = 10**15
_ROW = re.compile(r"^\| (\d+(?:\.\d)?) % \| (.+) \|$", re.MULTILINE)


@lru_cache
def seats_won(share_permille: int, parts: int, elections: int) -> tuple[float, float]:
    """An adversary with this share of all weight, in so many equal identities, against fifty equal honest operators.

    The share of the 100 seats that it wins on average, and in which share of the elections it wins a third of them.
    """
    mine, theirs = UNIT * share_permille // parts, UNIT * (1_000 - share_permille) // HONEST
    field = [Operator(b"a%04d" % number, mine, mine, KEYS) for number in range(parts)]
    field += [Operator(b"h%04d" % number, theirs, theirs, KEYS) for number in range(HONEST)]
    won = []
    for number in range(elections):
        seed = sha256(b"%d/%d/%d" % (share_permille, parts, number)).digest()
        won.append(sum(operator.startswith(b"a") for operator, _ in elect(seed, field, SEATS, ())))
    return sum(won) / elections / SEATS, sum(3 * seats >= SEATS for seats in won) / elections


def documented() -> dict[tuple[int, int], float]:
    """Mean shares by (permille, identities) as the docs say."""
    table = DOC.read_text().split("### Split adversaries", 1)[1]
    return {
        (round(float(share) * 10), parts): float(cell.split()[0]) / 100
        for share, cells in _ROW.findall(table)
        for parts, cell in zip(PARTS, cells.split(" | "), strict=True)
    }


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("share", SHARES)
def test_the_documented_table_is_what_elections_give(share: int, parts: int) -> None:
    mean, _ = seats_won(share, parts, 60)
    assert abs(mean - documented()[share, parts]) < 0.02


@pytest.mark.parametrize("share", SHARES)
def test_no_number_of_identities_wins_more_than_the_share_of_the_weight(share: int) -> None:
    assert max(seats_won(share, parts, 60)[0] for parts in PARTS) < share / 1_000 + 0.02


if __name__ == "__main__":
    for permille in SHARES:
        cells = [seats_won(permille, parts, 1_000) for parts in PARTS]
        print(f"| {permille / 10:g} % | " + " | ".join(f"{100 * a:.1f} ({100 * b:.1f})" for a, b in cells) + " |")
