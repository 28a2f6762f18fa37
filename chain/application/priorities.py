"""CometBFT v0.38's proposer priorities, unit for unit: who proposes round 0 of which height, given the updates.

Source: cometbft `types/validator_set.go`. Weighted round robin: every height adds each validator's power to its
priority, the highest proposes (ties: the lower address) and pays the total power. Pure integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from chain.crypto.address import validator_address
from chain.errors import Faulty, Malformed
from chain.wire import cbor

WINDOW_FACTOR = 2
"""The distance between the highest and the lowest priority stays within this many times the total power."""

MAX_TOTAL_POWER = ((1 << 63) - 1) // 8
_INT64_MAX, _INT64_MIN = (1 << 63) - 1, -(1 << 63)


@dataclass(frozen=True, slots=True)
class Standing:
    """A validator in the rotation: its Ed25519 key, its address, its voting power and its proposer priority."""

    public: bytes
    address: bytes
    power: int
    priority: int


@dataclass(frozen=True, slots=True)
class Rotation:
    """A validator set with its priorities, and the address that proposes round 0 of the set's height."""

    standings: tuple[Standing, ...]
    proposer: bytes

    @classmethod
    def first(cls, powers: Mapping[bytes, int]) -> Rotation:
        """The set of the initial height, by public key."""
        return cls((), b"").after(powers)

    @property
    def total_power(self) -> int:
        return sum(standing.power for standing in self.standings)

    @property
    def powers(self) -> dict[bytes, int]:
        """By public key, in ascending order of address."""
        return {standing.public: standing.power for standing in self.standings}

    def after(self, updates: Mapping[bytes, int]) -> Rotation:
        """The set one height later: updates by public key (power 0 removes), then one step of the rotation."""
        updated = self.updated(updates)
        stepped = _centred(_rescaled(updated, _total(updated)))
        stepped = [replace(each, priority=_clip(each.priority + each.power)) for each in stepped]
        chosen = min(range(len(stepped)), key=lambda place: (-stepped[place].priority, stepped[place].address))
        paid = _clip(stepped[chosen].priority - _total(stepped))
        stepped[chosen] = replace(stepped[chosen], priority=paid)
        return Rotation(tuple(stepped), stepped[chosen].address)

    def updated(self, updates: Mapping[bytes, int]) -> list[Standing]:
        """The standings by ascending address after validator updates, scaled and centred as CometBFT does it.

        Newcomers start at -1.125 times the total power, in which the removed still count; others keep their priority.
        Raises Faulty `state_corrupt` for updates on which CometBFT would halt.
        """
        if not updates:
            return list(self.standings)
        known = {standing.public: standing for standing in self.standings}
        if any(not power and public not in known for public, power in updates.items()):
            raise Faulty("state_corrupt", "a validator update removes a key that is not in the set")
        grown = known | {
            public: replace(known[public], power=power)
            if public in known
            else Standing(public, validator_address(public), power, 0)
            for public, power in updates.items()
            if power
        }
        total = _total(grown.values())
        standings = [
            standing if public in known else replace(standing, priority=-(total + (total >> 3)))
            for public, standing in grown.items()
            if updates.get(public, 1)
        ]
        if not standings or any(power < 0 for power in updates.values()) or _total(standings) > MAX_TOTAL_POWER:
            raise Faulty("state_corrupt", "validator updates leave nobody, or more voting power than CometBFT allows")
        standings.sort(key=lambda standing: standing.address)
        return _centred(_rescaled(standings, _total(standings)))

    def encode(self) -> bytes:
        """Canonical CBOR `[proposer, [[public, power, priority], …]]`."""
        return cbor.encode([self.proposer, [[each.public, each.power, each.priority] for each in self.standings]])

    @classmethod
    def decode(cls, data: bytes) -> Rotation:
        """The inverse of `encode`; raises Malformed."""
        try:
            proposer, rows = cbor.decode(data)
            standings = tuple(Standing(public, validator_address(public), power, at) for public, power, at in rows)
        except (TypeError, ValueError) as error:
            raise Malformed("malformed", f"a stored rotation cannot be read: {error}") from None
        return cls(standings, proposer)


def _total(standings: Iterable[Standing]) -> int:
    return sum(standing.power for standing in standings)


def _rescaled(standings: list[Standing], total: int) -> list[Standing]:
    """Priorities divided, towards zero, by the smallest integer that brings them into the window."""
    window = WINDOW_FACTOR * total
    priorities = [standing.priority for standing in standings]
    distance = max(priorities) - min(priorities)
    if distance <= window:
        return standings
    ratio = -(-distance // window)
    return [
        replace(each, priority=each.priority // ratio if each.priority >= 0 else -(-each.priority // ratio))
        for each in standings
    ]


def _centred(standings: list[Standing]) -> list[Standing]:
    """Priorities around zero: less their average, rounded down."""
    average = sum(standing.priority for standing in standings) // len(standings)
    return [replace(each, priority=_clip(each.priority - average)) for each in standings]


def _clip(value: int) -> int:
    return max(_INT64_MIN, min(_INT64_MAX, value))
