"""Operators, their consensus and VRF keys, and the list of those that may be candidates."""

from __future__ import annotations

from chain.crypto.address import validator_address
from chain.errors import Faulty, Refused
from chain.ledger.overlay import Overlay, State
from chain.ledger.parameters import Parameters
from chain.wire.operators import (
    OPERATOR_PREFIX,
    OPERATORS_KEY,
    STAKE_KEY,
    Operator,
    Operators,
    Stake,
    Validator,
    operator_key,
    validator_key,
)
from chain.wire.state import Entry


class KeyOwner(Entry, frozen=True):
    """Whose VRF key this is: no two operators, and no two keys of one, share one."""

    operator: bytes


def vrf_key(public: bytes) -> bytes:
    return b"vrf/" + public


def operator_at(overlay: Overlay, address: bytes) -> Operator | None:
    return overlay.entry(operator_key(address), Operator)


def known_operator(overlay: Overlay, address: bytes) -> Operator:
    """Refuses `tx_unknown_operator`."""
    operator = operator_at(overlay, address)
    if operator is None:
        raise Refused("tx_unknown_operator", f"{address.hex()} has never bonded")
    return operator


def operator_of(overlay: Overlay, validator: bytes) -> bytes:
    """The operator's account address; an unknown validator in a decided block halts the node."""
    entry = overlay.entry(validator_key(validator), Validator)
    if entry is None:
        raise Faulty("state_corrupt", f"the block names validator {validator.hex()}, which the ledger does not know")
    return entry.operator


def vrf_public(state: State, validator: bytes) -> bytes | None:
    """The key that the beacon of a block proposed by `validator` must verify under; None for an unknown validator."""
    data = state.get(validator_key(validator))
    return None if data is None else Validator.decode(data).vrf_public


def consensus_public(overlay: Overlay, operator: bytes, key: int) -> bytes:
    entry = operator_at(overlay, operator)
    assert entry is not None and key < len(entry.keys), "a seat names a key that its operator does not have"
    return entry.keys[key][0]


def is_listed(operator: Operator | None, p: Parameters) -> bool:
    """Whether the operator stands among those that votes and elections look through."""
    return (
        operator is not None
        and bool(operator.keys)
        and operator.bond_atto >= p.min_bond_atto
        and not operator.tombstoned
    )


def listed_operators(overlay: Overlay) -> tuple[bytes, ...]:
    known = overlay.entry(OPERATORS_KEY, Operators)
    return () if known is None else known.addresses


def put_operator(overlay: Overlay, address: bytes, operator: Operator, p: Parameters) -> None:
    """Write the operator, and keep the list and its total of stake true."""
    before = operator_at(overlay, address)
    listed = listed_operators(overlay)
    was, now = address in listed, is_listed(operator, p)
    overlay.set_entry(operator_key(address), operator)
    if was != now:
        others = tuple(each for each in listed if each != address)
        overlay.set_entry(OPERATORS_KEY, Operators(tuple(sorted((*others, address))) if now else others))
    change = (operator.bond_atto if now else 0) - (before.bond_atto if was and before is not None else 0)
    if change:
        overlay.set_entry(STAKE_KEY, Stake(total_stake(overlay) + change))


def relist(overlay: Overlay, p: Parameters) -> None:
    """After the minimum bond changed: drop who no longer reaches it (who now does is listed with its next bond)."""
    listed = tuple(each for each in listed_operators(overlay) if is_listed(operator_at(overlay, each), p))
    if listed != listed_operators(overlay):
        overlay.set_entry(OPERATORS_KEY, Operators(listed))
        bonds = [operator.bond_atto for each in listed if (operator := operator_at(overlay, each)) is not None]
        overlay.set_entry(STAKE_KEY, Stake(sum(bonds)))


def total_stake(overlay: Overlay) -> int:
    """The bonds of all listed operators, in atto."""
    stake = overlay.entry(STAKE_KEY, Stake)
    return 0 if stake is None else stake.total_atto


def put_validator(overlay: Overlay, address: bytes, number: int, keys: tuple[bytes, bytes]) -> None:
    """Make the consensus and VRF key known as the operator's `number`-th."""
    consensus, vrf = keys
    overlay.set_entry(validator_key(validator_address(consensus)), Validator(address, number, consensus, vrf))
    overlay.set_entry(vrf_key(vrf), KeyOwner(address))


__all__ = [
    "OPERATORS_KEY",
    "OPERATOR_PREFIX",
    "KeyOwner",
    "Operator",
    "Operators",
    "Validator",
    "consensus_public",
    "is_listed",
    "known_operator",
    "listed_operators",
    "operator_at",
    "operator_key",
    "operator_of",
    "put_operator",
    "put_validator",
    "relist",
    "total_stake",
    "validator_key",
    "vrf_key",
    "vrf_public",
]
