"""How the state holds operators, their keys and their stake; read like the entries of `state`.

| key | value |
|---|---|
| `operator/` address(20) | `Operator` |
| `validator/` validator address(20) | `Validator` |
| `unbonding/` u64be(number) | `Unbonding` |
| `stake` | `Stake` |
| `operators` | `Operators` |
| `seats` | `Seats` |
"""

from __future__ import annotations

from chain.wire.state import Entry

OPERATOR_PREFIX = b"operator/"
UNBONDING_PREFIX = b"unbonding/"
STAKE_KEY = b"stake"
OPERATORS_KEY = b"operators"
SEATS_KEY = b"seats"


class Operator(Entry, frozen=True):
    """Who holds stake, and with keys may produce blocks; `keys` are (consensus Ed25519 public, VRF public).

    `bonded_at_ns` is the time from which all of the bond counts as held. `unbonding` are the numbers of what is on its
    way out. A jailed operator is no candidate until it sends `unjail`, at `jailed_until_ns` the earliest; one with
    `tombstoned` never.
    """

    name: str
    bond_atto: int
    bonded_at_ns: int
    registered_epoch: int
    genesis: bool
    jailed: bool
    jailed_until_ns: int
    tombstoned: bool
    keys: tuple[tuple[bytes, bytes], ...]
    unbonding: tuple[int, ...]


class Validator(Entry, frozen=True):
    """Whose key a validator address is; stays when the key loses its seat, as late precommits still name it."""

    operator: bytes
    key: int
    consensus_public: bytes
    vrf_public: bytes


class Unbonding(Entry, frozen=True):
    """Stake on its way back to `operator`; until it is paid it can be slashed like the bond."""

    operator: bytes
    amount_atto: int
    begun_height: int
    matures_ns: int


class Stake(Entry, frozen=True):
    """The bonds of all operators that are listed (keys, bond of at least the minimum, not tombstoned), in atto."""

    total_atto: int


class Operators(Entry, frozen=True):
    """The addresses of the listed operators, ascending: few enough to be looked through at every election.

    Listed is who has a key and bonds at least the minimum and is not tombstoned: the minimum bounds their number.
    """

    addresses: tuple[bytes, ...]


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


def unbonding_key(number: int) -> bytes:
    return UNBONDING_PREFIX + number.to_bytes(8, "big")
