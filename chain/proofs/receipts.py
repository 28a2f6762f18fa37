"""What the hub signs back: `ack1`, that records were accepted, and `start1`, where a record chain begins."""

from __future__ import annotations

from dataclasses import dataclass

from chain.crypto.keys import PrivateKey, PublicKey
from chain.errors import Malformed, Refused
from chain.proofs.key_ids import key_id
from chain.wire import cose
from chain.wire.fields import UINT64_MAX, Fields

RECEIPT_TAG = "dccn/receipt/v1"
START_TAG = "dccn/start/v1"

MISSING_MAX = 256
RECEIPT_MAX_BYTES = 4 * 1024
START_MAX_BYTES = 512


@dataclass(frozen=True, slots=True)
class Receipt:
    """`["ack1", device, chain, upto_seq, head_hash, [missing seqs], time_ms]`.

    Every record of the chain up to and including `upto_seq` was accepted and is stored; `head_hash` is the hash of that
    one's payload. Both are None and zero bytes while nothing was accepted. `missing` asks for at most 256 records.
    """

    device: bytes
    chain: bytes
    upto_seq: int | None
    head_hash: bytes
    missing: tuple[int, ...]
    time_ms: int

    def body(self) -> list[object]:
        return ["ack1", self.device, self.chain, self.upto_seq, self.head_hash, list(self.missing), self.time_ms]

    @classmethod
    def from_list(cls, body: object) -> Receipt:
        f = Fields(body, "ack1", 7)
        missing = tuple(f.integer_list(5, MISSING_MAX))
        return cls(f.octets(1, 32), f.octets(2, 16), f.optional(3, f.integer), f.octets(4, 32), missing, f.integer(6))


@dataclass(frozen=True, slots=True)
class Start:
    """`["start1", device, chain, last_seq / null, last_hash / null, time_ms]`.

    `last_seq` and `last_hash` name the end of the device's chain before, so that it cannot be rewritten; None, None for
    the first chain that the hub sees.
    """

    device: bytes
    chain: bytes
    last_seq: int | None
    last_hash: bytes | None
    time_ms: int

    def body(self) -> list[object]:
        return ["start1", self.device, self.chain, self.last_seq, self.last_hash, self.time_ms]

    @classmethod
    def from_list(cls, body: object) -> Start:
        f = Fields(body, "start1", 6)
        last_hash = f.optional(4, lambda at: f.octets(at, 32))
        start = cls(f.octets(1, 32), f.octets(2, 16), f.optional(3, f.integer), last_hash, f.integer(5, 0, UINT64_MAX))
        if (start.last_seq is None) != (start.last_hash is None):
            raise Malformed("malformed", "last_seq and last_hash of a start are both null or both given")
        return start


def sign_receipt(receipt: Receipt, command_key: PrivateKey, chain_id: str) -> bytes:
    """The receipt's COSE_Sign1 by the hub's command key."""
    body = Receipt.from_list(receipt.body()).body()
    return cose.sign(command_key, key_id(command_key.public), body, RECEIPT_TAG, chain_id)


def open_receipt(data: bytes, command_public: PublicKey, chain_id: str) -> Receipt:
    """The receipt; raises `too_large`, `malformed`, `non_canonical`, or `bad_signature` if the hub did not sign it."""
    envelope = cose.open_envelope(data, RECEIPT_MAX_BYTES)
    receipt = Receipt.from_list(envelope.body)
    _check_signature(envelope, command_public, RECEIPT_TAG, chain_id)
    return receipt


def sign_start(start: Start, command_key: PrivateKey, chain_id: str) -> bytes:
    """The start's COSE_Sign1 by the hub's command key."""
    body = Start.from_list(start.body()).body()
    return cose.sign(command_key, key_id(command_key.public), body, START_TAG, chain_id)


def open_start(data: bytes, command_public: PublicKey, chain_id: str) -> Start:
    """The start; raises `too_large`, `malformed`, `non_canonical`, or `bad_signature` when the hub did not sign it."""
    envelope = cose.open_envelope(data, START_MAX_BYTES)
    start = Start.from_list(envelope.body)
    _check_signature(envelope, command_public, START_TAG, chain_id)
    return start


def _check_signature(envelope: cose.Envelope, public: PublicKey, tag: str, chain_id: str) -> None:
    if envelope.kid != key_id(public) or not envelope.verify(public, tag, chain_id):
        raise Refused("bad_signature", "the hub's command key did not sign this")
