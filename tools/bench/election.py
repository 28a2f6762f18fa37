"""The draw of all 100 seats among ten thousand candidates, against nothing but their square roots."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from chain.slsbft import Operator, elect, weight
from tools.bench.measure import Row, interleaved

CANDIDATES, SEATS = 10_000, 100


def rows() -> Iterator[Row]:
    field = [
        Operator(hashlib.sha256(b"%d" % number).digest()[:20], 20_000 + number, (100_000 + number) * 10**18, 1)
        for number in range(CANDIDATES)
    ]

    def ours() -> None:
        assert len(elect(bytes(32), field, SEATS, ())) == SEATS

    def bare() -> None:
        for operator in field:
            weight(operator.service_level, operator.bond)

    taken, limit = interleaved(ours, bare)
    yield Row(f"election: {SEATS} seats among {CANDIDATES} candidates", taken * 1_000, "ms CPU", aim=("<=", 50.0))
    yield Row("the same against the weights alone", taken * 1_000, "ms CPU", "isqrt, ms", limit * 1_000)
