"""SLSBFT's random proposers on CometBFT: each block moves one key's power by a hair, so that it is next in turn.

CometBFT's rotation cannot be replaced, but it can be led. All seated keys have one power P near 10^9, so whoever has
not proposed in the running cycle stands within a few units of the top; one of them is drawn by the beacon and gets
those units for one height. Every cycle is so a fresh random order, known two heights ahead, and nobody's share of the
votes moves by more than a millionth. Rounds above 0 follow CometBFT.

When keys come or go, their priorities would split the set into groups that take turns by themselves. Then all powers
become 1 for one height, which CometBFT's rescaling follows, and P again at the next: what was far apart is now a few
units apart, everybody's share of the votes is the same all the time, and a new cycle begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chain import slsbft
from chain.application.priorities import Rotation, Standing

MIN_POWER = 1_000_000
"""Chains whose `validator_power` is lower are not led: a unit would be too large a share (the embedded engine: 1)."""

REACH_SHARE = 1_000
"""A key is led to the top by at most this fraction of its power; a turn in the cycle is worth the whole set's power."""

RESTING_POWER = 1

Updates = dict[bytes, int]


def is_led(validator_power: int) -> bool:
    """Whether a chain with this power per seat has its proposers drawn by validator updates."""
    return validator_power >= MIN_POWER


def first_rotation(powers: Mapping[bytes, int]) -> Rotation:
    """The rotation of height 2, the first that a block's updates lead, from the genesis validators by public key."""
    return Rotation.first(powers).after({})


def lead(
    rotation: Rotation, changes: Mapping[bytes, int], beacon: bytes, height: int, validator_power: int
) -> tuple[Updates, Rotation]:
    """Updates of the block at `height` and the rotation of `height` + 2 that they make.

    `rotation` is that of `height` + 1, `changes` are the ledger's own updates (power 0: the key loses its seat),
    `beacon` is that of `height`. Both maps are by public key.
    """
    rest = RESTING_POWER if changes else validator_power
    updates = {public: rest for public in rotation.powers if changes.get(public, 1)}
    updates |= {public: rest if power else 0 for public, power in changes.items()}
    if not changes:
        wanted, units = _draw(rotation.updated(updates), beacon, height + 2, validator_power // REACH_SHARE)
        updates[wanted.public] = validator_power + units
    now = rotation.powers
    updates = {public: power for public, power in updates.items() if now.get(public) != power}
    return updates, rotation.after(updates)


def _draw(standings: Sequence[Standing], beacon: bytes, height: int, reach: int) -> tuple[Standing, int]:
    """Who proposes at `height`, of those that can be led, and by how many units of power."""
    leader = min(standings, key=lambda standing: (-_score(standing), standing.address))
    # A tie goes to the lower address.
    lacks = [_score(leader) - _score(each) + (leader.address < each.address) for each in standings]
    pool = [place for place, lack in enumerate(lacks) if lack <= reach]
    chosen = pool[slsbft.proposer(beacon, height, 0, len(pool))]
    return standings[chosen], lacks[chosen]


def _score(standing: Standing) -> int:
    return standing.priority + standing.power
