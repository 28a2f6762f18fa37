"""Operators, their consensus and VRF keys, and the keys that are seated now."""

from __future__ import annotations

from chain.crypto.address import validator_address
from chain.errors import Faulty
from chain.ledger.overlay import Overlay, State
from chain.wire.state import Entry

OPERATOR_PREFIX = b"operator/"
OPERATORS_KEY = b"operators"
SEATS_KEY = b"seats"


class Operator(Entry, frozen=True):
    """A candidate for block production; `keys` are (consensus Ed25519 public, VRF public), `bond_atto` is in escrow."""

    name: str
    bond_atto: int
    bonded_at_ns: int
    registered_epoch: int
    genesis: bool
    jailed: bool
    keys: tuple[tuple[bytes, bytes], ...]


class Operators(Entry, frozen=True):
    """All operators' addresses, ascending."""

    addresses: tuple[bytes, ...]


class Validator(Entry, frozen=True):
    """Whose key a validator address is; stays when the key loses its seat, as late precommits still name it."""

    operator: bytes
    key: int
    consensus_public: bytes
    vrf_public: bytes


class Seat(Entry, frozen=True):
    """A seated key: the operator's `key`-th, since the start of election epoch `since_epoch`."""

    operator: bytes
    key: int
    since_epoch: int


class Seats(Entry, frozen=True):
    """The keys in force, longest-seated first."""

    seats: tuple[Seat, ...]


def operator_key(address: bytes) -> bytes:
    return OPERATOR_PREFIX + address


def validator_key(validator: bytes) -> bytes:
    return b"validator/" + validator


def operator_at(overlay: Overlay, address: bytes) -> Operator | None:
    return overlay.entry(operator_key(address), Operator)


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


def seated_keys(state: State) -> tuple[bytes, ...]:
    """Consensus public keys (Ed25519, 32 bytes) of the seats in force."""
    data = state.get(SEATS_KEY)
    seats = () if data is None else Seats.decode(data).seats
    overlay = Overlay(state)
    return tuple(consensus_public(overlay, seat.operator, seat.key) for seat in seats)


def consensus_public(overlay: Overlay, operator: bytes, key: int) -> bytes:
    entry = operator_at(overlay, operator)
    assert entry is not None and key < len(entry.keys), "a seat names a key that its operator does not have"
    return entry.keys[key][0]


def add_operator(overlay: Overlay, address: bytes, operator: Operator) -> None:
    """Write the operator, its validators, and its place among all operators."""
    known = overlay.entry(OPERATORS_KEY, Operators) or Operators(())
    overlay.set_entry(OPERATORS_KEY, Operators(tuple(sorted((*known.addresses, address)))))
    overlay.set_entry(operator_key(address), operator)
    for number, (consensus, vrf) in enumerate(operator.keys):
        validator = Validator(address, number, consensus, vrf)
        overlay.set_entry(validator_key(validator_address(consensus)), validator)
