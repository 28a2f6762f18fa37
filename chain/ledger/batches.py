"""Proof batches: what hubs verified in a reward epoch, kept until its challenge window is over and it is paid.

Source: economics.md "Proof batches". Epoch e is reported in blocks of epoch e+1 and paid at the boundary that ends
e+1+window.
"""

from __future__ import annotations

from typing import Any

from chain.errors import Malformed, Refused
from chain.ledger.block import Event, Execution
from chain.ledger.hubs import check_hub
from chain.ledger.overlay import Overlay
from chain.wire.bodies import BatchEntry, ProofBatch, read_proof_batch
from chain.wire.state import BatchReference, Entry, ServiceLevel, service_key

WORK = "work"
MAX_COUNT = (1 << 32) - 1
MAX_WORK_UANKR_H = (1 << 80) - 1


class Batch(Entry, frozen=True):
    """An accepted batch that is not paid yet."""

    reference: BatchReference
    entries: tuple[BatchEntry, ...]


class Reporters(Entry, frozen=True):
    """The hubs whose batch for one reward epoch was accepted, ascending."""

    hubs: tuple[bytes, ...]


def batch_key(reward_epoch: int, hub: bytes) -> bytes:
    return b"batch/" + reward_epoch.to_bytes(8, "big") + hub


def reporters_key(reward_epoch: int) -> bytes:
    return b"batches/" + reward_epoch.to_bytes(8, "big")


def apply_proof_batch(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Accept a hub's batch for the epoch that just ended.

    Refuses `tx_unauthorised` (not a hub, or another's name), `tx_wrong_epoch`, `tx_duplicate`, `tx_unknown_device` (an
    owner without a registered device), `tx_overflow`, `malformed`.
    """
    batch = read_proof_batch(body)
    check_hub(run, sender, batch.hub)
    _check_content(batch)
    if batch.reward_epoch != run.reward_epoch - 1:
        raise Refused("tx_wrong_epoch", f"epoch {batch.reward_epoch} cannot be reported in epoch {run.reward_epoch}")
    key = batch_key(batch.reward_epoch, sender)
    if run.overlay.entry(key, Batch) is not None:
        raise Refused("tx_duplicate", f"this hub reported epoch {batch.reward_epoch} already")
    for entry in batch.entries:
        if run.overlay.entry(service_key(entry.owner), ServiceLevel) is None:
            # Whoever had one may be reported: a revocation in the last moment must not void a whole batch.
            raise Refused("tx_unknown_device", f"{entry.owner.hex()} never registered a device")
    reference = BatchReference(sender, batch.root, batch.count, batch.bytes, batch.sum, run.height)
    run.overlay.set_entry(key, Batch(reference, batch.entries))
    known = run.overlay.entry(reporters_key(batch.reward_epoch), Reporters) or Reporters(())
    run.overlay.set_entry(reporters_key(batch.reward_epoch), Reporters(tuple(sorted((*known.hubs, sender)))))
    attributes = (("hub", sender.hex()), ("reward_epoch", str(batch.reward_epoch)), ("root", batch.root.hex()))
    return (Event("proof_batch", attributes),)


def take_batches(overlay: Overlay, reward_epoch: int) -> tuple[Batch, ...]:
    """Remove and return the epoch's batches, ascending by hub."""
    reporters = overlay.entry(reporters_key(reward_epoch), Reporters)
    if reporters is None:
        return ()
    batches = []
    for hub in reporters.hubs:
        batch = overlay.entry(batch_key(reward_epoch, hub), Batch)
        assert batch is not None, "a reporter without a batch"
        batches.append(batch)
        overlay.set_entry(batch_key(reward_epoch, hub), None)
    overlay.set_entry(reporters_key(reward_epoch), None)
    return tuple(batches)


def drop_batch(overlay: Overlay, reward_epoch: int, hub: bytes) -> None:
    """Forget a batch that is void."""
    reporters = overlay.entry(reporters_key(reward_epoch), Reporters) or Reporters(())
    others = tuple(each for each in reporters.hubs if each != hub)
    overlay.set_entry(batch_key(reward_epoch, hub), None)
    overlay.set_entry(reporters_key(reward_epoch), Reporters(others) if others else None)


def merge_entries(batches: tuple[Batch, ...]) -> list[BatchEntry]:
    """One entry per owner, ascending: counts and work of all hubs added up, of latencies the worst."""
    merged: dict[bytes, BatchEntry] = {}
    for batch in batches:
        for entry in batch.entries:
            before = merged.get(entry.owner)
            merged[entry.owner] = entry if before is None else _added(before, entry)
    return [merged[owner] for owner in sorted(merged)]


def _added(one: BatchEntry, other: BatchEntry) -> BatchEntry:
    measured = [p95 for p95 in (one.p95_ms, other.p95_ms) if p95 is not None]
    return BatchEntry(
        owner=one.owner,
        heartbeats_valid=one.heartbeats_valid + other.heartbeats_valid,
        heartbeats_expected=one.heartbeats_expected + other.heartbeats_expected,
        pog_passed=one.pog_passed + other.pog_passed,
        pog_failed=one.pog_failed + other.pog_failed,
        p95_ms=max(measured) if measured else None,
        work=one.work + other.work,
    )


def _check_content(batch: ProofBatch) -> None:
    if batch.kind != WORK:
        raise Malformed("malformed", f"a batch of kind {batch.kind!r}, this chain knows {WORK!r}")
    if batch.certificate is not None:
        raise Malformed("malformed", "certificates of availability are not issued on this chain, write null")
    for entry in batch.entries:
        counts = (*entry[1:5], entry.p95_ms or 0)
        if max(counts) > MAX_COUNT or entry.work > MAX_WORK_UANKR_H:
            raise Refused("tx_overflow", f"the entry of {entry.owner.hex()} is out of range")
