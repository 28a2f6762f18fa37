"""Transactions: their canonical bytes, what is signed, and builders for every type.

`[1, type, sender COSE_Key, nonce, fee, valid_until_height / null, body, fee_payer COSE_Key / null, signature,
fee_signature / null]`; both signatures are over CBOR ["dccn/tx/v1", chain_id, the first eight items] as one array of
ten. A transaction of type 0 is `[0, vrf proof]`, unsigned, and stands only at the head of a block.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

from chain.crypto.keys import PrivateKey, PublicKey
from chain.errors import Malformed, Refused
from chain.wire import cbor
from chain.wire.amounts import ANKR, MAX_AMOUNT, format_ankr, parse_ankr
from chain.wire.bodies import (
    BatchEntry,
    DeviceRegister,
    PogCommit,
    ProofBatch,
    Transfer,
    device_register,
    device_register_bytes,
    pog_commit,
    proof_batch,
    transfer,
)
from chain.wire.kinds import BEACON, DEVICE_REGISTER, POG_COMMIT, PROOF_BATCH, TRANSFER, TYPES, Content

__all__ = [
    "ANKR",
    "BEACON",
    "DEVICE_REGISTER",
    "POG_COMMIT",
    "PROOF_BATCH",
    "TRANSFER",
    "TYPES",
    "BatchEntry",
    "Content",
    "DeviceRegister",
    "PogCommit",
    "ProofBatch",
    "Transaction",
    "Transfer",
    "beacon_tx",
    "decode",
    "decode_beacon_tx",
    "device_register",
    "device_register_bytes",
    "format_ankr",
    "is_beacon_tx",
    "parse_ankr",
    "pog_commit",
    "proof_batch",
    "sign",
    "sponsor",
    "transfer",
]

VERSION = 1
MAX_BYTES = 1 << 20
# A payment takes 160 bytes. What is remembered takes 20 MB at most.
SMALL_BYTES, SMALL_KEPT = 512, 8_192
MAX_COUNTER = (1 << 64) - 1
VRF_PROOF_BYTES = 80
SIGNATURE_BYTES = 64
SIGN_TAG = "dccn/tx/v1"

_UNSIGNED_ITEMS = 8


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction. `fee` and amounts are in 10^-18 ANKR; an empty `signature` means not signed yet."""

    type: int
    sender: PublicKey
    nonce: int
    fee: int
    valid_until_height: int | None
    body: list[Any]
    fee_payer: PublicKey | None = None
    signature: bytes = b""
    fee_signature: bytes | None = None
    version: int = VERSION
    # The bytes this was decoded from; never part of its value, and forgotten by dataclasses.replace.
    _raw: bytes = field(default=b"", init=False, compare=False, repr=False)

    def encode(self) -> bytes:
        """The canonical bytes, as they stand in a block."""
        return self._raw or cbor.encode([*self._unsigned_items(), self.signature, self.fee_signature])

    def sign_bytes(self, chain_id: str) -> bytes:
        """What sender and fee payer sign: domain tag, chain id, the first eight items."""
        if self._raw:
            end = len(self._raw) - _signature_width(self.signature) - _signature_width(self.fee_signature)
            items = self._raw[1:end]
        else:
            items = cbor.encode(self._unsigned_items())[1:]
        return _domain(chain_id) + items

    @property
    def hash(self) -> bytes:
        """The transaction's id: SHA-256 of its bytes."""
        return sha256(self.encode()).digest()

    @property
    def payer(self) -> PublicKey:
        """Who pays the fee."""
        return self.sender if self.fee_payer is None else self.fee_payer

    def verify(self, chain_id: str) -> bool:
        """Whether the sender signed, and the fee payer too if there is one."""
        message = self.sign_bytes(chain_id)
        if not self.sender.verify(message, self.signature):
            return False
        if self.fee_payer is None:
            return self.fee_signature is None
        return self.fee_signature is not None and self.fee_payer.verify(message, self.fee_signature)

    def _unsigned_items(self) -> list[object]:
        fee_payer = None if self.fee_payer is None else self.fee_payer.cose()
        header = [self.version, self.type, self.sender.cose(), self.nonce, self.fee, self.valid_until_height]
        return [*header, self.body, fee_payer]


def sign(
    key: PrivateKey,
    chain_id: str,
    content: Content,
    *,
    nonce: int,
    fee: int,
    valid_until_height: int | None = None,
    fee_payer: PublicKey | None = None,
) -> Transaction:
    """A transaction of `content`, signed by its sender; with a `fee_payer`, `sponsor` adds the second signature."""
    kind, body = content
    fee_signature = None if fee_payer is None else b""
    unsigned = Transaction(kind, key.public, nonce, fee, valid_until_height, body, fee_payer, b"", fee_signature)
    return replace(unsigned, signature=key.sign(unsigned.sign_bytes(chain_id)))


def sponsor(transaction: Transaction, key: PrivateKey, chain_id: str) -> Transaction:
    """The same with the fee payer's signature, whose key the sender named and signed."""
    if key.public != transaction.fee_payer:
        raise Refused("tx_unauthorised", "the transaction names another fee payer")
    return replace(transaction, fee_signature=key.sign(transaction.sign_bytes(chain_id)))


def decode(data: bytes, limit: int = MAX_BYTES) -> Transaction:
    """Read a signed transaction strictly; raises `too_large`, `malformed`, `non_canonical`, `bad_key`.

    The body is checked by whoever knows the type; an empty fee signature is read, as a sponsor has yet to add his.
    Small ones are remembered, since a node reads each up to five times on its way into a block: change nothing in them.
    """
    return _decode_small(data) if len(data) <= SMALL_BYTES <= limit else _decode(data, limit)


@lru_cache(maxsize=SMALL_KEPT)
def _decode_small(data: bytes) -> Transaction:
    return _decode(data, SMALL_BYTES)


def _decode(data: bytes, limit: int) -> Transaction:
    items = cbor.decode(data, limit)
    if type(items) is not list or len(items) != _UNSIGNED_ITEMS + 2:
        raise Malformed("malformed", "a transaction is an array of ten items")
    version, kind, sender, nonce, fee, valid_until_height, body, fee_payer, signature, fee_signature = items
    if type(version) is not int or version != VERSION:
        raise Malformed("malformed", f"transaction version {version!r}, this chain knows {VERSION}")
    if not (_is_counter(kind) and _is_counter(nonce)):
        raise Malformed("malformed", "type and nonce are integers from 0 to 2^64 - 1")
    if type(fee) is not int or not 0 <= fee <= MAX_AMOUNT:
        raise Malformed("malformed", "the fee is an integer from 0 to 2^128 - 1")
    if not (valid_until_height is None or _is_counter(valid_until_height)) or type(body) is not list:
        raise Malformed("malformed", "valid_until_height is a height or null, the body an array")
    if not _is_signature(signature) or not (fee_signature is None or _is_signature(fee_signature)):
        raise Malformed("malformed", "a signature is 64 bytes")
    payer = None if fee_payer is None else PublicKey.from_cose(fee_payer)
    if payer is None and fee_signature is not None:
        raise Malformed("malformed", "a fee signature without a fee payer")
    key = PublicKey.from_cose(sender)
    transaction = Transaction(kind, key, nonce, fee, valid_until_height, body, payer, signature, fee_signature)
    object.__setattr__(transaction, "_raw", data)
    return transaction


def beacon_tx(pi: bytes) -> bytes:
    """Transaction 0 of a block, which carries the proposer's VRF proof (80 bytes)."""
    if len(pi) != VRF_PROOF_BYTES:
        raise Malformed("malformed", f"a VRF proof has {VRF_PROOF_BYTES} bytes, not {len(pi)}")
    return cbor.encode([BEACON, pi])


def decode_beacon_tx(data: bytes) -> bytes:
    """The VRF proof in a block's transaction 0; raises `malformed` or `non_canonical`."""
    items = cbor.decode(data, 2 * VRF_PROOF_BYTES)
    match items:
        case [int() as kind, bytes() as pi] if type(kind) is int and kind == BEACON and len(pi) == VRF_PROOF_BYTES:
            return pi
    raise Malformed("malformed", "a beacon transaction is [0, VRF proof of 80 bytes]")


def is_beacon_tx(data: bytes) -> bool:
    """Whether the bytes are shaped like a type-0 transaction: an array of two that starts with 0."""
    return data[:2] == b"\x82\x00"


def _is_counter(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_COUNTER


def _is_signature(value: object) -> bool:
    return type(value) is bytes and len(value) in (0, SIGNATURE_BYTES)


def _signature_width(signature: bytes | None) -> int:
    """How many bytes a signature takes in CBOR: null and the empty string one, 64 bytes with their header 66."""
    return len(signature) + 2 if signature else 1


@lru_cache(maxsize=16)
def _domain(chain_id: str) -> bytes:
    """The head of the sign bytes: an array of ten, the tag and the chain id; the eight items follow."""
    return b"\x8a" + cbor.encode(SIGN_TAG) + cbor.encode(chain_id)
