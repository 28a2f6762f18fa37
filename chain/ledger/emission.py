"""Emission: what leaves the mining pool at the end of a reward epoch, and for whom.

Source: economics.md "Money". Nothing is minted: the pool is the mining share of the constant supply, and what finds no
recipient returns to it.
"""

from __future__ import annotations

from typing import NamedTuple

from chain.ledger.parameters import PERMILLE, Parameters

_HOUR_S = 3_600


class Pools(NamedTuple):
    """What one boundary shares out, by role, in atto; relays have no recipients yet."""

    providers: int
    producers: int
    relays: int
    consumers: int
    verifiers: int


def emission(mining_atto: int, reward_epoch_s: int, horizon_h: int = 50_552) -> int:
    """`mining_atto * reward_epoch_s // (horizon_h * 3600)`, in atto: half of the pool in four years.

    First hour of 4 000 000 000 ANKR: 79 126.4 ANKR; a 3 s epoch: 65.9. At most the pool, monotone in it.
    """
    return min(mining_atto, mining_atto * reward_epoch_s // (horizon_h * _HOUR_S))


def split_emission(amount_atto: int, parameters: Parameters) -> Pools:
    """Providers 40 %, block producers 30 %, relays 15 %, consumers 10 %, verifiers 5 %, each rounded down."""
    return Pools(
        providers=amount_atto * parameters.providers_permille // PERMILLE,
        producers=amount_atto * parameters.producers_permille // PERMILLE,
        relays=amount_atto * parameters.relays_permille // PERMILLE,
        consumers=amount_atto * parameters.consumers_permille // PERMILLE,
        verifiers=amount_atto * parameters.verifiers_permille // PERMILLE,
    )
