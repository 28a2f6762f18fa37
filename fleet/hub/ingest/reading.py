"""From bytes on a topic to something that can be looked up: the first, purely syntactic half of verification.

Whatever the bytes are, the result is a reading or a refusal; nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from chain.errors import Malformed, Refused
from chain.proofs.delegation import SignedDelegation, open_delegation
from chain.proofs.pog.format import COMMITMENT_TAG, OPENING_TAG, Commitment, Proof
from chain.proofs.records import RECORD_TAG, SignedRecord, open_record
from chain.wire.cose import Envelope, open_envelope
from chain.wire.fields import Fields
from fleet.hub.ingest.messages import Message, Refusal
from fleet.protocol.topics import DELEGATION, POG_COMMIT, POG_OPEN, WORK, Address, parse


@dataclass(frozen=True, slots=True)
class OpeningBody:
    """`["pogopen1", challenge_height, pog1 array]`."""

    challenge_height: int
    proof: Proof


Statement = SignedRecord | Commitment | OpeningBody
"""What a record key signs."""


class Reading(msgspec.Struct, frozen=True):
    """A message that parses. `content` is None for a JSON document; `envelope` is what to check a signature on."""

    message: Message
    address: Address
    content: Statement | SignedDelegation | None = None
    envelope: Envelope | None = None

    @property
    def device(self) -> bytes | None:
        """The device that the content names, 32 bytes."""
        match self.content:
            case SignedRecord(record=record):
                return record.device
            case SignedDelegation(delegation=delegation):
                return delegation.device
            case OpeningBody(proof=proof):
                return proof.device
            case Commitment(device=device):
                return device
        return None

    @property
    def tag(self) -> str:
        """The purpose for which a record key must have signed."""
        if type(self.content) is SignedRecord:
            return RECORD_TAG
        return COMMITMENT_TAG if type(self.content) is Commitment else OPENING_TAG

    def refused(self, code: str, detail: str) -> Refusal:
        return Refusal(code, self.address.device, self.message.topic, detail)


@dataclass(slots=True)
class Batch:
    """Messages that were read, in order of arrival."""

    readings: list[Reading] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def records(self) -> Iterable[SignedRecord]:
        return (reading.content for reading in self.readings if type(reading.content) is SignedRecord)


def read_batch(messages: Iterable[Message]) -> Batch:
    """Parse every message by its topic's leaf."""
    batch = Batch()
    for message in messages:
        try:
            batch.readings.append(_read(message))
        except Refused as error:
            batch.refusals.append(Refusal(error.code, _named(message.topic), message.topic, error.message))
    return batch


def _read(message: Message) -> Reading:
    address = _parse(message.topic)
    if len(message.payload) > address.leaf.max_bytes:
        limit = f"{address.leaf.name} takes {address.leaf.max_bytes}"
        raise Malformed("too_large", f"{len(message.payload)} bytes, {limit}")
    if address.leaf.direction != "up":
        raise Refused("topic_unknown", f"devices do not send on {address.leaf.name}")
    reader = _READERS.get(address.leaf.name)
    return Reading(message, address) if reader is None else reader(message, address)


def _record(message: Message, address: Address) -> Reading:
    signed = open_record(message.payload)
    return Reading(message, address, signed, signed.envelope)


def _delegation(message: Message, address: Address) -> Reading:
    signed = open_delegation(message.payload)
    return Reading(message, address, signed, signed.envelope)


def _commitment(message: Message, address: Address) -> Reading:
    envelope = open_envelope(message.payload, POG_COMMIT.max_bytes)
    return Reading(message, address, Commitment.from_list(envelope.body), envelope)


def _opening(message: Message, address: Address) -> Reading:
    envelope = open_envelope(message.payload, POG_OPEN.max_bytes)
    fields = Fields(envelope.body, "pogopen1", 3, code="pog_malformed")
    return Reading(message, address, OpeningBody(fields.integer(1, 1), Proof.from_list(fields.any(2))), envelope)


_READERS: dict[str, Callable[[Message, Address], Reading]] = {
    WORK.name: _record,
    DELEGATION.name: _delegation,
    POG_COMMIT.name: _commitment,
    POG_OPEN.name: _opening,
}

_parse = lru_cache(maxsize=65_536)(parse)


def _named(topic: str) -> str:
    """The device that a topic names, for the count of refusals; empty when it is none."""
    try:
        return _parse(topic).device
    except Refused:
        return ""
