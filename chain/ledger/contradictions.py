"""Contradictions: two different signed records of one device under one chain and sequence number.

A device commits a record to its spool before it publishes it, so an honest one never signs a number twice (proofs.md).
Source: economics.md "Service level": honesty 0.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.ledger.devices import last_known
from chain.ledger.service_levels import service_level_of, with_figures
from chain.proofs import records
from chain.proofs.delegation import open_delegation
from chain.wire import cbor
from chain.wire.offences import SignedRecord, read_contradiction
from chain.wire.state import Entry, service_key


class Offence(Entry, frozen=True):
    """A proven contradiction: it counts once."""

    height: int


def offence_key(device: bytes, chain: bytes, seq: int) -> bytes:
    return b"offence/" + sha256(cbor.encode([device, chain, seq])).digest()


def apply_contradiction(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """The device's owner loses all honesty; refuses `tx_unknown_device`, `tx_not_proven`, `tx_duplicate`.

    Also refuses what cannot be read, and `delegation_invalid`.
    """
    evidence = read_contradiction(body)
    first, second = (records.open_record(each.record) for each in evidence)
    if not records.is_contradiction(first, second):
        raise Refused("tx_not_proven", "the records are the same, or have different devices, chains or numbers")
    said = first.record
    device = last_known(run.overlay, said.device)
    if device is None:
        raise Refused("tx_unknown_device", f"device {said.device.hex()} is not registered")
    key = offence_key(said.device, said.chain, said.seq)
    if run.overlay.entry(key, Offence) is not None:
        raise Refused("tx_duplicate", f"the contradiction in record {said.seq} was punished already")
    identity = PublicKey.from_cose(device.key)
    for signed, opened in zip(evidence, (first, second), strict=True):
        _check_signed(signed, opened, identity, run.chain_id)
    run.overlay.set_entry(key, Offence(run.height))
    level = service_level_of(run.overlay, device.owner, run.parameters)
    dishonest = with_figures(msgspec.structs.replace(level, honesty=0), run.parameters)
    run.overlay.set_entry(service_key(device.owner), dishonest)
    attributes = (("owner", device.owner.hex()), ("device", said.device.hex()), ("seq", str(said.seq)))
    return (Event("contradiction", attributes),)


def _check_signed(signed: SignedRecord, opened: records.SignedRecord, identity: PublicKey, chain_id: str) -> None:
    delegation = open_delegation(signed.delegation).check(identity, chain_id)
    if not delegation.covers(opened.record):
        raise Refused("tx_not_proven", "the delegation is for another boot or time than the record")
    if not opened.verify(delegation.record_public, chain_id):
        raise Refused("tx_not_proven", f"the delegated key did not sign record {opened.record.seq}")
