"""Proofs of fraud: what one or two leaves of a batch show by themselves, decided at once and without a bond.

Source: economics.md "Proof batches": bad signature, duplicate, wrong sum, unregistered device. A proof that proves
nothing is refused and costs its fee; one that does makes the whole batch void.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chain.crypto import merkle_sum
from chain.errors import Malformed, Refused
from chain.ledger.batches import Batch
from chain.ledger.block import Event, Execution
from chain.ledger.disputes import (
    check_inclusion,
    claims_too_much,
    pending_batch,
    registered_device,
    void_batch,
)
from chain.proofs.key_ids import record_key_id
from chain.proofs.records import SignedRecord, open_record
from chain.wire.disputes import (
    BAD_SIGNATURE,
    COUNTED_BEFORE,
    NOT_A_RECORD,
    OUT_OF_ORDER,
    UNREGISTERED,
    WRONG_SUM,
    FraudProof,
    LeafProof,
    read_fraud_proof,
)


def apply_fraud_proof(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Void the batch; refuses `tx_unknown_batch`, `tx_not_proven`, `malformed`."""
    proof = read_fraud_proof(body)
    batch = pending_batch(run, proof.reward_epoch, proof.hub)
    if proof.fraud != WRONG_SUM:
        check_inclusion(batch, proof.leaf)
    if not _PROVEN[proof.fraud](run, batch, proof):
        raise Refused("tx_not_proven", f"the leaves do not show {proof.fraud!r}")
    void_batch(run, proof.reward_epoch, proof.hub, proof.fraud)
    attributes = (
        ("hub", proof.hub.hex()),
        ("reward_epoch", str(proof.reward_epoch)),
        ("fraud", proof.fraud),
        ("reporter", sender.hex()),
    )
    return (Event("fraud_proof", attributes),)


def _is_no_record(run: Execution, batch: Batch, proof: FraudProof) -> bool:
    """The leaf's bytes cannot be read as a work record."""
    return _read(proof.leaf) is None


def _is_badly_signed(run: Execution, batch: Batch, proof: FraudProof) -> bool:
    """The leaf names the record key of `extra` as its signer, which did not sign it."""
    record, key = _read(proof.leaf), proof.extra
    if record is None or type(key) is not bytes or len(key) != 32 or record_key_id(key) != record.envelope.kid:
        return False
    return not record.verify(key, run.chain_id)


def _is_unregistered(run: Execution, batch: Batch, proof: FraudProof) -> bool:
    """The leaf's device was not registered, neither in the epoch nor while the batch could be sent."""
    record = _read(proof.leaf)
    return record is not None and registered_device(run, record.record.device, proof.reward_epoch) is None


def _is_out_of_order(run: Execution, batch: Batch, proof: FraudProof) -> bool:
    """A later leaf does not ascend from an earlier one: one record twice, or one hidden where it is not looked for."""
    second = _second(proof)
    check_inclusion(batch, second)
    first_record, second_record = _read(proof.leaf), _read(second)
    if first_record is None or second_record is None or not proof.leaf.number < second.number:
        return False
    return _order(first_record) >= _order(second_record)


def _is_counted_before(run: Execution, batch: Batch, proof: FraudProof) -> bool:
    """The same record is a leaf of the hub's batch for an earlier epoch, `extra`, that is not settled either."""
    second = _second(proof)
    if type(proof.extra) is not int or proof.extra >= proof.reward_epoch:
        return False
    check_inclusion(pending_batch(run, proof.extra, proof.hub), second)
    first_record, second_record = _read(proof.leaf), _read(second)
    if first_record is None or second_record is None:
        return False
    return _order(first_record) == _order(second_record)


def _is_wrong_sum(run: Execution, batch: Batch, proof: FraudProof) -> bool:
    """The tree adds up to another sum than the batch's, or a leaf holds more than its owner's entry."""
    reference, leaf = batch.reference, proof.leaf
    top = merkle_sum.climb(merkle_sum.Leaf(leaf.sum, leaf.record), leaf.number, reference.count, leaf.path)
    if top is None or top[0] != reference.root:
        return False
    if top[1] != reference.sum_uankr_h:
        return True
    record = _read(leaf)
    device = None if record is None else registered_device(run, record.record.device, proof.reward_epoch)
    return device is not None and claims_too_much(batch, device.owner, leaf.sum)


_PROVEN: dict[str, Callable[[Execution, Batch, FraudProof], bool]] = {
    NOT_A_RECORD: _is_no_record,
    BAD_SIGNATURE: _is_badly_signed,
    UNREGISTERED: _is_unregistered,
    OUT_OF_ORDER: _is_out_of_order,
    COUNTED_BEFORE: _is_counted_before,
    WRONG_SUM: _is_wrong_sum,
}


def _read(leaf: LeafProof) -> SignedRecord | None:
    try:
        return open_record(leaf.record)
    except Refused:
        return None


def _second(proof: FraudProof) -> LeafProof:
    if proof.second is None:
        raise Malformed("malformed", f"{proof.fraud!r} is shown by two leaves")
    return proof.second


def _order(signed: SignedRecord) -> tuple[bytes, bytes, int]:
    record = signed.record
    return record.device, record.chain, record.seq
