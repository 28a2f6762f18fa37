"""Bodies of the transactions of operators: bonds, and the keys that produce blocks.

A consensus key (Ed25519) and a VRF key are registered together, each with a proof that the operator holds it: a
signature over `consensus_key_bytes`, a VRF proof of `vrf_key_bytes`. Both name the chain and the operator, so that
nobody can register a key in another's place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chain.crypto import vrf
from chain.crypto.keys import PrivateKey
from chain.wire import cbor
from chain.wire.amounts import MAX_AMOUNT
from chain.wire.fields import Fields
from chain.wire.kinds import ADD_KEY, BOND, ROTATE_KEY, UNBOND, UNJAIL, Content

CONSENSUS_KEY_TAG = "dccn/consensus-key/v1"
VRF_KEY_TAG = "dccn/vrf-key/v1"
MAX_NAME_BYTES = 64
MAX_KEYS = 100

_KEY_BYTES, _SIGNATURE_BYTES, _VRF_PROOF_BYTES = 32, 64, 80


class ProducerKeys(NamedTuple):
    """`[consensus public, signature, VRF public, VRF proof]`: one seat's worth of keys, with proofs of possession."""

    consensus: bytes
    consensus_signature: bytes
    vrf: bytes
    vrf_proof: bytes


class Registration(NamedTuple):
    """`[name, keys / null]`: who a new operator is; without keys it only holds stake."""

    name: str
    keys: ProducerKeys | None


class Bond(NamedTuple):
    """`[amount, registration / null]`: the first bond of an account carries its registration, later ones null."""

    amount: int
    registration: Registration | None


class Rotation(NamedTuple):
    """`[number, keys]`: new keys in the place of the operator's `number`-th."""

    number: int
    keys: ProducerKeys


def consensus_key_bytes(chain_id: str, operator: bytes, consensus: bytes) -> bytes:
    """What a consensus key signs to become the operator's (20 bytes)."""
    return cbor.encode([CONSENSUS_KEY_TAG, chain_id, operator, consensus])


def vrf_key_bytes(chain_id: str, operator: bytes, public: bytes) -> bytes:
    """What a VRF key proves to become the operator's (20 bytes)."""
    return cbor.encode([VRF_KEY_TAG, chain_id, operator, public])


def prove_keys(chain_id: str, operator: bytes, consensus: PrivateKey, vrf_secret: bytes) -> ProducerKeys:
    """The keys with both proofs of possession; for whoever holds the secrets."""
    public = vrf.public_key(vrf_secret)
    signature = consensus.sign(consensus_key_bytes(chain_id, operator, consensus.public.x))
    proof = vrf.prove(vrf_secret, vrf_key_bytes(chain_id, operator, public))
    return ProducerKeys(consensus.public.x, signature, public, proof)


def bond(amount: int, registration: Registration | None = None) -> Content:
    row = None
    if registration is not None:
        row = [registration.name, None if registration.keys is None else list(registration.keys)]
    return BOND, [amount, row]


def unbond(amount: int) -> Content:
    return UNBOND, [amount]


def add_key(keys: ProducerKeys) -> Content:
    return ADD_KEY, list(keys)


def rotate_key(number: int, keys: ProducerKeys) -> Content:
    return ROTATE_KEY, [number, list(keys)]


def unjail() -> Content:
    return UNJAIL, []


def read_bond(body: list[Any]) -> Bond:
    fields = Fields(body, None, 2)
    return Bond(fields.integer(0, 1, MAX_AMOUNT), fields.optional(1, lambda at: _read_registration(fields.any(at))))


def read_unbond(body: list[Any]) -> int:
    """The amount in atto."""
    return Fields(body, None, 1).integer(0, 1, MAX_AMOUNT)


def read_add_key(body: list[Any]) -> ProducerKeys:
    return _read_keys(body)


def read_rotate_key(body: list[Any]) -> Rotation:
    fields = Fields(body, None, 2)
    return Rotation(fields.integer(0, 0, MAX_KEYS - 1), _read_keys(fields.any(1)))


def read_unjail(body: list[Any]) -> None:
    Fields(body, None, 0)


def _read_registration(row: object) -> Registration:
    fields = Fields(row, None, 2)
    return Registration(fields.text(0, MAX_NAME_BYTES), fields.optional(1, lambda at: _read_keys(fields.any(at))))


def _read_keys(row: object) -> ProducerKeys:
    fields = Fields(row, None, 4)
    return ProducerKeys(
        fields.octets(0, _KEY_BYTES),
        fields.octets(1, _SIGNATURE_BYTES),
        fields.octets(2, _KEY_BYTES),
        fields.octets(3, _VRF_PROOF_BYTES),
    )
