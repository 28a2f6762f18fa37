"""What makes Tendermint SLSBFT: the random beacon, the election by service level and stake, the random proposer.

Pure functions over bytes and integers; the formulas and their golden numbers stand in docs/economics.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import isqrt

import cbor2

MIN_SEATED = 4
OPERATOR_SHARE = 10  # one operator holds at most a tenth of the seats, and one at least
RETIRING_SHARE = 3  # a third of the seated keys retires at each election

_RANGE = 1 << 256

Seat = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Operator:
    """A candidate: `service_level` and `bond` as frozen for this election, `keys` its registered consensus keys."""

    id: bytes
    service_level: int
    bond: int
    keys: int


def weight(service_level: int, bond: int) -> int:
    """isqrt(SL * bond): concave and homogeneous of degree 1, so splitting an identity never gains weight."""
    return isqrt(service_level * bond)


def elect(seed: bytes, operators: Sequence[Operator], seats: int, seated: Collection[Seat]) -> list[Seat]:
    """The (operator, key) pairs drawn for the vacant seats, in draw order.

    `seats` is the total, `seated` those who stay. When fewer than `MIN_SEATED` keys are seated in the end, the caller
    keeps the previous set.
    """
    taken = set(seated)
    held = Counter(holder for holder, _ in taken)
    pool = [
        operator
        for operator in sorted(operators, key=lambda o: o.id)
        if weight(operator.service_level, operator.bond) and _room(operator, seats, held[operator.id], taken) > 0
    ]
    weights = _Weights([weight(operator.service_level, operator.bond) for operator in pool])
    draw = _Draws(b"slsbft/elect" + seed)
    drawn: list[Seat] = []
    while weights.total and len(seated) + len(drawn) < seats:
        index = weights.find(draw.below(weights.total))
        operator = pool[index]
        key = next(key for key in range(operator.keys) if (operator.id, key) not in taken)
        taken.add((operator.id, key))
        held[operator.id] += 1
        drawn.append((operator.id, key))
        if not _room(operator, seats, held[operator.id], taken):
            weights.remove(index)
    return drawn


def stay_seated(longest_first: Sequence[Seat]) -> list[Seat]:
    """Who keeps the seat at an election: all but the third that has sat longest."""
    return list(longest_first[len(longest_first) // RETIRING_SHARE :])


def next_beacon(beta: bytes) -> bytes:
    """The beacon of a block from its proposer's VRF output (64 bytes)."""
    return sha256(b"slsbft/beacon" + beta).digest()


def genesis_beacon(genesis_hash: bytes) -> bytes:
    """The beacon of height 0 and below."""
    return sha256(b"slsbft/genesis" + genesis_hash).digest()


def vrf_alpha(chain_id: str, height: int, previous_beacon: bytes) -> bytes:
    """What the proposer of `height` proves: canonical CBOR ["slsbft/vrf", chain id, height, beacon of height - 1]."""
    return cbor2.dumps(["slsbft/vrf", chain_id, height, previous_beacon], canonical=True)


def proposer(beacon: bytes, height: int, round_: int, validators: int) -> int:
    """The index of the proposer among `validators` in ascending order of address; `beacon` is that of height - 2."""
    prefix = b"slsbft/proposer" + beacon + height.to_bytes(8, "big") + round_.to_bytes(4, "big")
    return _Draws(prefix).below(validators)


class _Draws:
    """Uniform numbers from SHA-256 over a prefix and a counter, by rejection so that no remainder is favoured."""

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self._counter = 0

    def below(self, limit: int) -> int:
        while True:
            data = self._prefix + self._counter.to_bytes(8, "big")
            self._counter += 1
            number = int.from_bytes(sha256(data).digest(), "big")
            if number < _RANGE - _RANGE % limit:
                return number % limit


def _room(operator: Operator, seats: int, own: int, taken: Collection[Seat]) -> int:
    """How many more keys the operator may seat, which holds `own` of those that are `taken`."""
    free = operator.keys
    if own:
        free = sum(1 for key in range(operator.keys) if (operator.id, key) not in taken)
    return min(max(1, seats // OPERATOR_SHARE) - own, free)


class _Weights:
    """Weights in a row, found by where a point falls among their sums: a Fenwick tree, each step in log n.

    Node i (from 1) holds the sum of the i & -i weights that end with it.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self.total = sum(weights)
        self._weights = list(weights)
        self._sums = [0, *weights]
        self._top = 1 << max(0, len(weights).bit_length() - 1)
        for node in range(1, len(self._sums)):
            parent = node + (node & -node)
            if parent < len(self._sums):
                self._sums[parent] += self._sums[node]

    def find(self, point: int) -> int:
        """The index of the weight in which `point` (below `total`) falls: the first whose prefix sum exceeds it."""
        node, step = 0, self._top
        while step:
            ahead = node + step
            if ahead < len(self._sums) and self._sums[ahead] <= point:
                node = ahead
                point -= self._sums[ahead]
            step >>= 1
        return node

    def remove(self, index: int) -> None:
        gone, node = self._weights[index], index + 1
        self._weights[index] = 0
        self.total -= gone
        while node < len(self._sums):
            self._sums[node] -= gone
            node += node & -node
