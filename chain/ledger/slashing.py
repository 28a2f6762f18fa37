"""Slashing: what anybody can prove costs stake, and the coins go back to the mining pool.

Source: economics.md "Money": double sign 5 % and for ever out, missed blocks 0.01 % and jail.
"""

from __future__ import annotations

import msgspec

from chain import slsbft
from chain.ledger.block import Event, Execution
from chain.ledger.operators import known_operator, put_operator
from chain.ledger.seats import unseat
from chain.ledger.supply import move
from chain.ledger.unbonding import reduce_unbonding

PPM = 1_000_000
DOUBLE_SIGN = "double_sign"
DOWNTIME = "downtime"

_SECOND_NS = 10**9


def slashed(amount_atto: int, ppm: int) -> int:
    """`amount * ppm // 1 000 000`, in atto; at most the amount."""
    return min(amount_atto, amount_atto * ppm // PPM)


def slash(run: Execution, address: bytes, ppm: int, why: str) -> int:
    """Take the part from the operator's bond and from all that is unbonding; returns what went to the mining pool."""
    operator = known_operator(run.overlay, address)
    from_bond = slashed(operator.bond_atto, ppm)
    taken = from_bond + sum(reduce_unbonding(run, number, ppm, slashed) for number in operator.unbonding)
    after = msgspec.structs.replace(operator, bond_atto=operator.bond_atto - from_bond)
    put_operator(run.overlay, address, after, run.parameters)
    if taken:
        move(run.overlay, bonds_atto=-taken, mining_atto=taken)
    attributes = (("operator", address.hex()), ("why", why), ("amount_atto", str(taken)))
    run.events.append(Event("slash", attributes))
    return taken


def tombstone(run: Execution, address: bytes) -> None:
    """A double sign: 5 %, jail for ever, and the seats are gone at once, unless nobody else would be seated."""
    slash(run, address, run.parameters.double_sign_slash_ppm, DOUBLE_SIGN)
    operator = known_operator(run.overlay, address)
    put_operator(run.overlay, address, msgspec.structs.replace(operator, jailed=True, tombstoned=True), run.parameters)
    unseat(run, address, at_least=1)


def jail_for_downtime(run: Execution, address: bytes) -> None:
    """Missed blocks: 0.01 %, jail, and the seats are given up unless fewer than four would be left.

    With so few, a validator that comes back is worth more than an empty seat: the set tolerates as many faults with
    it as without.
    """
    slash(run, address, run.parameters.downtime_slash_ppm, DOWNTIME)
    operator = known_operator(run.overlay, address)
    until_ns = run.time_ns + run.parameters.downtime_jail_s * _SECOND_NS
    jailed = msgspec.structs.replace(operator, jailed=True, jailed_until_ns=until_ns)
    put_operator(run.overlay, address, jailed, run.parameters)
    unseat(run, address, at_least=slsbft.MIN_SEATED)
