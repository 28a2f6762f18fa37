"""Bodies of disputes over proof batches: challenges, their answers, proofs of fraud.

A leaf of a batch travels as `[index, leaf sum, [[sibling hash, sibling sum], …], record]`, record being the whole
COSE_Sign1; the path leads from the leaf to the batch's root.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chain.crypto.address import ADDRESS_BYTES
from chain.errors import Malformed
from chain.wire.amounts import MAX_AMOUNT
from chain.wire.fields import Fields
from chain.wire.kinds import FRAUD_PROOF, PROOF_CHALLENGE, PROOF_RESPONSE, Content
from chain.wire.offences import MAX_DELEGATION_BYTES, MAX_RECORD_BYTES

NOT_A_RECORD, BAD_SIGNATURE, UNREGISTERED, OUT_OF_ORDER, COUNTED_BEFORE, WRONG_SUM = (
    "not_a_record",
    "bad_signature",
    "unregistered",
    "out_of_order",
    "counted_before",
    "wrong_sum",
)
FRAUDS = (NOT_A_RECORD, BAD_SIGNATURE, UNREGISTERED, OUT_OF_ORDER, COUNTED_BEFORE, WRONG_SUM)
MAX_PATH = 64
MAX_KEY_BYTES = 32


class LeafProof(NamedTuple):
    """A leaf with its place and its path."""

    number: int
    sum: int
    path: tuple[tuple[bytes, int], ...]
    record: bytes


class ProofChallenge(NamedTuple):
    """`[reward epoch, hub, number]`: the hub is to show this leaf of its batch."""

    reward_epoch: int
    hub: bytes
    number: int


class ProofResponse(NamedTuple):
    """`[reward epoch, hub, leaf, delegation]`: the leaf, and why its key may sign for the device."""

    reward_epoch: int
    hub: bytes
    leaf: LeafProof
    delegation: bytes


class FraudProof(NamedTuple):
    """`[reward epoch, hub, fraud, leaf, second leaf / null, extra]`.

    `extra` is the record key for "bad_signature", the earlier batch's epoch for "counted_before", else null.
    """

    reward_epoch: int
    hub: bytes
    fraud: str
    leaf: LeafProof
    second: LeafProof | None
    extra: bytes | int | None


def proof_challenge(reward_epoch: int, hub: bytes, index: int) -> Content:
    return PROOF_CHALLENGE, [reward_epoch, hub, index]


def proof_response(reward_epoch: int, hub: bytes, leaf: LeafProof, delegation: bytes) -> Content:
    return PROOF_RESPONSE, [reward_epoch, hub, _leaf_row(leaf), delegation]


def fraud_proof(
    reward_epoch: int,
    hub: bytes,
    fraud: str,
    leaf: LeafProof,
    second: LeafProof | None = None,
    extra: bytes | int | None = None,
) -> Content:
    row = None if second is None else _leaf_row(second)
    return FRAUD_PROOF, [reward_epoch, hub, fraud, _leaf_row(leaf), row, extra]


def read_proof_challenge(body: list[Any]) -> ProofChallenge:
    fields = Fields(body, None, 3)
    return ProofChallenge(fields.integer(0), fields.octets(1, ADDRESS_BYTES), fields.integer(2))


def read_proof_response(body: list[Any]) -> ProofResponse:
    fields = Fields(body, None, 4)
    delegation = _octets_up_to(fields.any(3), MAX_DELEGATION_BYTES)
    return ProofResponse(fields.integer(0), fields.octets(1, ADDRESS_BYTES), _read_leaf(fields.any(2)), delegation)


def read_fraud_proof(body: list[Any]) -> FraudProof:
    fields = Fields(body, None, 6)
    fraud, extra = fields.text(2, 32), fields.any(5)
    if fraud not in FRAUDS:
        raise Malformed("malformed", f"{fraud!r} is none of the frauds {FRAUDS}")
    if type(extra) is bytes:
        extra = _octets_up_to(extra, MAX_KEY_BYTES)
    elif extra is not None:
        extra = fields.integer(5)
    second = fields.optional(4, lambda at: _read_leaf(fields.any(at)))
    return FraudProof(
        fields.integer(0), fields.octets(1, ADDRESS_BYTES), fraud, _read_leaf(fields.any(3)), second, extra
    )


def _leaf_row(leaf: LeafProof) -> list[Any]:
    return [leaf.number, leaf.sum, [list(node) for node in leaf.path], leaf.record]


def _read_leaf(row: object) -> LeafProof:
    fields = Fields(row, None, 4)
    path = []
    for node in fields.array(2, MAX_PATH):
        sibling = Fields(node, None, 2)
        path.append((sibling.octets(0, 32), sibling.integer(1, 0, MAX_AMOUNT)))
    record = _octets_up_to(fields.any(3), MAX_RECORD_BYTES)
    return LeafProof(fields.integer(0), fields.integer(1, 0, MAX_AMOUNT), tuple(path), record)


def _octets_up_to(value: object, limit: int) -> bytes:
    if type(value) is not bytes or len(value) > limit:
        raise Malformed("malformed", f"needs a byte string of at most {limit} bytes")
    return value
