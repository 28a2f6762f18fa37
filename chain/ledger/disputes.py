"""Challenges: anybody may ask for a leaf of a batch that is not settled, and the batch falls if it is not shown.

Source: economics.md "Proof batches". The challenger puts up a bond, which pays the hub for its answer; without an
answer in time the bond goes back, nothing in the batch counts, and the hub's stake loses 0.5 %.
"""

from __future__ import annotations

from typing import Any

from chain.crypto import merkle_sum
from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.ledger.batches import Batch, batch_key, drop_batch
from chain.ledger.block import Event, Execution
from chain.ledger.devices import device_in
from chain.ledger.operators import operator_at
from chain.ledger.slashing import slash
from chain.ledger.supply import move
from chain.proofs.delegation import open_delegation
from chain.proofs.records import SignedRecord, open_record
from chain.wire.disputes import LeafProof, read_proof_challenge, read_proof_response
from chain.wire.state import Device, Entry

MAX_OPEN_CHALLENGES = 64
CHALLENGES_PREFIX = b"challenges/"

_SECOND_NS = 10**9


class Challenge(Entry, frozen=True):
    """One leaf that was asked for, by whom, and the bond that hangs on it."""

    index: int
    challenger: bytes
    bond_atto: int
    deadline_ns: int


class Challenges(Entry, frozen=True):
    """The open challenges to one batch."""

    open: tuple[Challenge, ...]


def challenges_key(reward_epoch: int, hub: bytes) -> bytes:
    return CHALLENGES_PREFIX + reward_epoch.to_bytes(8, "big") + hub


def apply_proof_challenge(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Ask for a leaf, with a bond of `challenge_bond_atto`.

    Refuses `tx_unknown_batch`, `malformed` (no such leaf), `tx_late` (no time for an answer before the batch is
    settled), `tx_duplicate`, `tx_limit`, `tx_insufficient_funds`.
    """
    epoch, hub, index = read_proof_challenge(body)
    batch = pending_batch(run, epoch, hub)
    if index >= batch.reference.count:
        raise Refused("malformed", f"leaf {index} of {batch.reference.count}")
    p = run.parameters
    deadline_ns = run.time_ns + p.challenge_response_s * _SECOND_NS
    settled_ns = run.genesis_time_ns + (epoch + 2 + p.challenge_window_epochs) * p.reward_epoch_s * _SECOND_NS
    if deadline_ns > settled_ns:
        raise Refused("tx_late", f"the batch is settled at {settled_ns} ns, too early for an answer")
    waiting = _open(run, epoch, hub)
    if any(challenge.index == index for challenge in waiting):
        raise Refused("tx_duplicate", f"leaf {index} is asked for already")
    if len(waiting) >= MAX_OPEN_CHALLENGES:
        raise Refused("tx_limit", f"{MAX_OPEN_CHALLENGES} leaves of this batch are asked for already")
    purse = run.overlay.purse(sender)
    if purse.balance_atto < p.challenge_bond_atto:
        raise Refused("tx_insufficient_funds", f"a challenge takes a bond of {p.challenge_bond_atto} atto")
    purse.balance_atto -= p.challenge_bond_atto
    move(run.overlay, accounts_atto=-p.challenge_bond_atto, escrow_atto=p.challenge_bond_atto)
    asked = Challenge(index, sender, p.challenge_bond_atto, deadline_ns)
    run.overlay.set_entry(challenges_key(epoch, hub), Challenges((*waiting, asked)))
    return (_event("proof_challenge", epoch, hub, index),)


def apply_proof_response(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Show the leaf that was asked for; anybody may, the bond goes to the hub.

    Refuses `tx_unknown_batch`, `tx_late` (not asked for, or too late), `tx_not_proven`, and what cannot be read.
    """
    epoch, hub, leaf, delegation = read_proof_response(body)
    batch = pending_batch(run, epoch, hub)
    waiting = _open(run, epoch, hub)
    asked = next((challenge for challenge in waiting if challenge.index == leaf.number), None)
    if asked is None or run.time_ns > asked.deadline_ns:
        raise Refused("tx_late", f"leaf {leaf.number} is not asked for, or its answer is late")
    check_inclusion(batch, leaf)
    _check_leaf(run, epoch, batch, leaf, delegation)
    _set_open(run, epoch, hub, tuple(challenge for challenge in waiting if challenge is not asked))
    run.overlay.purse(hub).balance_atto += asked.bond_atto
    move(run.overlay, escrow_atto=-asked.bond_atto, accounts_atto=asked.bond_atto)
    return (_event("proof_response", epoch, hub, leaf.number),)


def stands(run: Execution, epoch: int, hub: bytes) -> bool:
    """Whether a batch that is about to be settled has no challenge left open; if not, its hub pays for that."""
    if not _open(run, epoch, hub):
        return True
    punish_hub(run, epoch, hub, run.parameters.withheld_slash_ppm, "withheld")
    return False


def void_batch(run: Execution, epoch: int, hub: bytes, why: str) -> None:
    """A fraud was proven: nothing in the batch counts, and the hub's stake loses 1 %."""
    drop_batch(run.overlay, epoch, hub)
    punish_hub(run, epoch, hub, run.parameters.false_batch_slash_ppm, why)


def punish_hub(run: Execution, epoch: int, hub: bytes, ppm: int, why: str) -> None:
    """Give open bonds back, and slash what the hub has bonded, if anything."""
    for challenge in _open(run, epoch, hub):
        run.overlay.purse(challenge.challenger).balance_atto += challenge.bond_atto
        move(run.overlay, escrow_atto=-challenge.bond_atto, accounts_atto=challenge.bond_atto)
    _set_open(run, epoch, hub, ())
    if operator_at(run.overlay, hub) is not None:
        slash(run, hub, ppm, why)
    attributes = (("hub", hub.hex()), ("reward_epoch", str(epoch)), ("why", why))
    run.events.append(Event("batch_void", attributes))


def pending_batch(run: Execution, epoch: int, hub: bytes) -> Batch:
    """Refuses `tx_unknown_batch`."""
    batch = run.overlay.entry(batch_key(epoch, hub), Batch)
    if batch is None:
        raise Refused("tx_unknown_batch", f"{hub.hex()} has no batch for epoch {epoch} that is not settled")
    return batch


def check_inclusion(batch: Batch, leaf: LeafProof) -> None:
    """Refuses `tx_not_proven` unless the leaf leads to the batch's root and sum."""
    reference, node = batch.reference, merkle_sum.Leaf(leaf.sum, leaf.record)
    if not merkle_sum.verify(reference.root, reference.sum_uankr_h, node, leaf.number, reference.count, leaf.path):
        raise Refused("tx_not_proven", f"leaf {leaf.number} does not lead to the batch's root")


def registered_device(run: Execution, device: bytes, reward_epoch: int) -> Device | None:
    """The device if it was registered in the epoch of the batch, or while the batch could be sent."""
    return device_in(run.overlay, device, reward_epoch) or device_in(run.overlay, device, reward_epoch + 1)


def claims_too_much(batch: Batch, owner: bytes, leaf_sum: int) -> bool:
    """Whether one leaf of the owner holds more work than the batch's entry reports for all of them."""
    work = next((entry.work for entry in batch.entries if entry.owner == owner), 0)
    return leaf_sum > work


def _check_leaf(run: Execution, epoch: int, batch: Batch, leaf: LeafProof, delegation: bytes) -> None:
    record: SignedRecord = open_record(leaf.record)
    device = registered_device(run, record.record.device, epoch)
    if device is None:
        raise Refused("tx_not_proven", f"device {record.record.device.hex()} was not registered")
    lent = open_delegation(delegation).check(PublicKey.from_cose(device.key), run.chain_id)
    if not lent.covers(record.record) or not record.verify(lent.record_public, run.chain_id):
        raise Refused("tx_not_proven", f"leaf {leaf.number} is not signed by a key of its device")
    if claims_too_much(batch, device.owner, leaf.sum):
        raise Refused("tx_not_proven", f"leaf {leaf.number} holds more work than its owner's entry")


def _open(run: Execution, epoch: int, hub: bytes) -> tuple[Challenge, ...]:
    entry = run.overlay.entry(challenges_key(epoch, hub), Challenges)
    return () if entry is None else entry.open


def _set_open(run: Execution, epoch: int, hub: bytes, challenges: tuple[Challenge, ...]) -> None:
    run.overlay.set_entry(challenges_key(epoch, hub), Challenges(challenges) if challenges else None)


def _event(kind: str, epoch: int, hub: bytes, index: int) -> Event:
    return Event(kind, (("reward_epoch", str(epoch)), ("hub", hub.hex()), ("index", str(index))))
