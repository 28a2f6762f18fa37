"""Stake: bonds that anybody may put up, and how they leave again.

Source: economics.md "Block producers" and "Money". An account becomes an operator with its first bond; with keys and at
least `min_bond_atto` it is a candidate for block production as soon as its service level allows.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chain.errors import Malformed, Refused
from chain.ledger.block import Event, Execution
from chain.ledger.operators import known_operator, operator_at, put_operator
from chain.ledger.overlay import Overlay
from chain.ledger.parameters import Parameters
from chain.ledger.producer_keys import check_keys, put_keys
from chain.ledger.supply import move
from chain.ledger.unbonding import MAX_UNBONDINGS, begin_unbonding
from chain.wire.operators import Operator
from chain.wire.staking import Bond, Registration, read_bond, read_unbond

_SECOND_NS = 10**9


def apply_bond(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Put up stake; the first bond registers the operator.

    Refuses `tx_insufficient_funds`, `malformed` (a first bond without a registration, a later one with), `tx_jailed`
    (after a double sign), and what `check_keys` refuses.
    """
    bond = read_bond(body)
    before = operator_at(run.overlay, sender)
    after = _registered(run, sender, bond) if before is None else _increased(run, before, bond)
    purse = run.overlay.purse(sender)
    if purse.balance_atto < bond.amount:
        raise Refused("tx_insufficient_funds", f"a bond of {bond.amount} atto from a balance of {purse.balance_atto}")
    purse.balance_atto -= bond.amount
    move(run.overlay, accounts_atto=-bond.amount, bonds_atto=bond.amount)
    put_operator(run.overlay, sender, after, run.parameters)
    if bond.registration is not None and bond.registration.keys is not None:
        put_keys(run, sender, 0, bond.registration.keys)
    return (Event("bond", (("operator", sender.hex()), ("amount_atto", str(bond.amount)))),)


def apply_unbond(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Begin to take stake back; refuses `tx_unknown_operator`, `tx_insufficient_funds`, `tx_limit`.

    The amount stops to count as stake at once, and can be slashed until it is paid.
    """
    amount = read_unbond(body)
    operator = known_operator(run.overlay, sender)
    if operator.bond_atto < amount:
        raise Refused("tx_insufficient_funds", f"{amount} atto from a bond of {operator.bond_atto}")
    if len(operator.unbonding) >= MAX_UNBONDINGS:
        raise Refused("tx_limit", f"{MAX_UNBONDINGS} amounts of this operator are unbonding already")
    number = begin_unbonding(run, sender, amount)
    after = msgspec.structs.replace(
        operator, bond_atto=operator.bond_atto - amount, unbonding=(*operator.unbonding, number)
    )
    put_operator(run.overlay, sender, after, run.parameters)
    return (Event("unbond", (("operator", sender.hex()), ("amount_atto", str(amount)), ("number", str(number)))),)


def age_after_bond(bond_atto: int, age_s: int, added_atto: int, full_age_s: int) -> int:
    """The age of a bond that was added to: `bond * min(age, full) // (bond + added)` seconds.

    So the stake held (H) is the same right after as right before: new stake brings no age, and old stake keeps its own.
    """
    return bond_atto * min(max(0, age_s), full_age_s) // (bond_atto + added_atto)


def stakes_enough(overlay: Overlay, owner: bytes, p: Parameters) -> bool:
    """Stake to get jobs: whether the provider bonds at least `min_provider_stake_atto`."""
    if not p.min_provider_stake_atto:
        return True
    operator = operator_at(overlay, owner)
    return operator is not None and operator.bond_atto >= p.min_provider_stake_atto and not operator.tombstoned


def _registered(run: Execution, sender: bytes, bond: Bond) -> Operator:
    match bond.registration:
        case None:
            raise Malformed("malformed", "the first bond of an account carries its registration [name, keys / null]")
        case Registration(name, keys):
            pairs = () if keys is None else (check_keys(run, sender, keys),)
    epoch = max(0, run.election_epoch)
    return Operator(
        name=name,
        bond_atto=bond.amount,
        bonded_at_ns=run.time_ns,
        registered_epoch=epoch,
        genesis=False,
        jailed=False,
        jailed_until_ns=0,
        tombstoned=False,
        keys=pairs,
        unbonding=(),
    )


def _increased(run: Execution, operator: Operator, bond: Bond) -> Operator:
    if bond.registration is not None:
        raise Malformed("malformed", f"{operator.name!r} is registered already: further bonds carry null")
    if operator.tombstoned:
        raise Refused("tx_jailed", "an operator that signed twice never produces blocks again")
    age_s = (run.time_ns - operator.bonded_at_ns) // _SECOND_NS
    age_s = age_after_bond(operator.bond_atto, age_s, bond.amount, run.parameters.stake_full_age_s)
    return msgspec.structs.replace(
        operator, bond_atto=operator.bond_atto + bond.amount, bonded_at_ns=run.time_ns - age_s * _SECOND_NS
    )
