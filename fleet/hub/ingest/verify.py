"""Deciding a batch of messages against a snapshot of the store: the half of ingest that could be wrong, without I/O.

Order of the questions: who may speak (device, fleet, certificate, registration), whose words are these (topic against
content, key against delegation, signature), and only then what they say (time, chain, round). A refusal concerns one
message; the others of the batch are decided as if it had not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.proofs.delegation import SignedDelegation
from chain.proofs.pog.format import Commitment
from chain.proofs.records import SignedRecord
from chain.wire import cbor
from chain.wire.cose import Envelope
from fleet.hub.ingest.continuity import Link, append, place
from fleet.hub.ingest.messages import (
    AcceptedCommitment,
    AcceptedDelegation,
    AcceptedRecord,
    Contradiction,
    Decisions,
    DelegationView,
    DeviceView,
    Document,
    Message,
    Opening,
    Refusal,
    SignatureCheck,
    Snapshot,
)
from fleet.hub.ingest.reading import Batch, OpeningBody, Reading, read_batch
from fleet.hub.ingest.signatures import Checker, check_all

FUTURE_MS: Final = 30_000
"""A record may end this much later than the hub's clock: devices take their time from the hub, and drift a little."""
STALE_MS: Final = 7 * 24 * 3_600_000
"""A record that ended longer ago is taken into its chain, so that the spool can go on, but earns nothing."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the decisions need besides the snapshot. Spans in milliseconds."""

    chain_id: str
    future_ms: int = FUTURE_MS
    stale_ms: int = STALE_MS


class _Claim(msgspec.Struct, frozen=True):
    """A reading with the device that sent it and the delegation that its signature must be by."""

    reading: Reading
    envelope: Envelope
    device: DeviceView
    delegation: DelegationView


def verify_batch(
    snapshot: Snapshot, messages: Sequence[Message], now_ms: int, rules: Rules, check: Checker = check_all
) -> Decisions:
    """Read and decide; `now_ms` is the hub's clock. `snapshot` must hold everything that the messages name."""
    return decide(snapshot, read_batch(messages), now_ms, rules, check)


def decide(snapshot: Snapshot, batch: Batch, now_ms: int, rules: Rules, check: Checker = check_all) -> Decisions:
    """Decide what was read. Afterwards `snapshot.chains` and `snapshot.delegations` are those after the batch."""
    decisions = Decisions(refusals=list(batch.refusals))
    admitted = [
        (reading, device)
        for reading in batch.readings
        if (device := _admit(reading, snapshot, now_ms, decisions)) is not None
    ]
    for reading, device in admitted:
        if type(reading.content) is SignedDelegation:
            _take_delegation(reading, reading.content, device, snapshot, now_ms, rules, decisions)
    claims = [
        claim
        for reading, device in admitted
        if type(reading.content) is not SignedDelegation
        and (claim := _claim(reading, device, snapshot, decisions)) is not None
    ]
    checks = [
        SignatureCheck(claim.envelope, PublicKey.from_ed25519(claim.delegation.record_public), claim.reading.tag)
        for claim in claims
    ]
    for claim, good in zip(claims, check(checks, rules.chain_id), strict=True):
        if good:
            _take_statement(claim, snapshot, now_ms, rules, decisions)
        else:
            decisions.refusals.append(claim.reading.refused("bad_signature", "the record key did not sign these bytes"))
    return decisions


def _admit(reading: Reading, snapshot: Snapshot, now_ms: int, decisions: Decisions) -> DeviceView | None:
    """Who speaks, or None after noting why it may not."""
    device = snapshot.devices.get(reading.address.device)
    content = reading.content
    if device is None:
        detail = f"no device {reading.address.device} is enrolled"
        decisions.refusals.append(Refusal("device_unknown", "", reading.message.topic, detail))
    elif device.fleet != reading.address.fleet:
        refuse = reading.refused("record_foreign", f"the device belongs to fleet {device.fleet}")
        decisions.refusals.append(refuse)
    elif device.certificate_not_after_ms < now_ms:
        detail = f"its newest certificate ended at {device.certificate_not_after_ms}, it is {now_ms}"
        decisions.refusals.append(reading.refused("certificate_expired", detail))
    elif content is None:
        decisions.documents.append(Document(reading.address, reading.message.payload))
        return None
    elif reading.device != device.device:
        decisions.refusals.append(reading.refused("record_foreign", f"it names device {_short(reading.device)}"))
    elif not device.registered and type(content) is not SignedDelegation:
        decisions.refusals.append(reading.refused("device_unregistered", "no block registers this device yet"))
    else:
        return device
    return None


def _take_delegation(
    reading: Reading,
    signed: SignedDelegation,
    device: DeviceView,
    snapshot: Snapshot,
    now_ms: int,
    rules: Rules,
    decisions: Decisions,
) -> None:
    try:
        body = signed.check(PublicKey.from_cose(cbor.decode(device.identity)), rules.chain_id)
    except Refused as error:
        decisions.refusals.append(reading.refused(error.code, error.message))
        return
    if body.not_before_ms > now_ms + rules.future_ms:
        detail = f"the delegation begins at {body.not_before_ms}, it is {now_ms}"
        decisions.refusals.append(reading.refused("record_future", detail))
        return
    view = DelegationView(body.device, body.record_public, body.boot, body.not_before_ms, body.not_after_ms)
    known = snapshot.delegations.get((body.device, body.key_id))
    if known == view:
        return
    if known is not None:
        decisions.refusals.append(reading.refused("delegation_invalid", "this record key was delegated otherwise"))
        return
    snapshot.delegations[body.device, body.key_id] = view
    decisions.delegations.append(
        AcceptedDelegation(body.key_id, view, reading.message.arrived_ms, reading.message.payload)
    )


def _claim(reading: Reading, device: DeviceView, snapshot: Snapshot, decisions: Decisions) -> _Claim | None:
    assert reading.envelope is not None
    delegation = snapshot.delegations.get((device.device, reading.envelope.kid))
    if delegation is None:
        detail = f"the device delegated to no record key {reading.envelope.kid.hex()}"
        decisions.refusals.append(reading.refused("delegation_invalid", detail))
        return None
    return _Claim(reading, reading.envelope, device, delegation)


def _take_statement(claim: _Claim, snapshot: Snapshot, now_ms: int, rules: Rules, decisions: Decisions) -> None:
    match claim.reading.content:
        case SignedRecord() as signed:
            _take_record(claim, signed, snapshot, now_ms, rules, decisions)
        case Commitment() as commitment:
            _take_commitment(claim, commitment, snapshot, now_ms, decisions)
        case OpeningBody() as opening:
            _take_opening(claim, opening, snapshot, now_ms, decisions)


def _take_record(
    claim: _Claim, signed: SignedRecord, snapshot: Snapshot, now_ms: int, rules: Rules, decisions: Decisions
) -> None:
    record, reading, delegation = signed.record, claim.reading, claim.delegation
    chain = snapshot.chains.get((record.device, record.chain))
    covered = delegation.not_before_ms <= record.from_ms and record.to_ms <= delegation.not_after_ms
    refusal: Refusal | None = None
    if record.boot != delegation.boot or not covered:
        detail = f"the delegation covers another boot or time than record {record.seq}"
        refusal = reading.refused("delegation_invalid", detail)
    elif chain is None:
        refusal = reading.refused("record_broken_chain", f"the hub never opened record chain {record.chain.hex()}")
    elif record.to_ms > now_ms + rules.future_ms:
        refusal = reading.refused("record_future", f"record {record.seq} ends at {record.to_ms}, it is {now_ms}")
    if refusal is not None or chain is None:
        assert refusal is not None
        decisions.refusals.append(refusal)
        return
    decisions.receipts[record.device, record.chain] = claim.device.topic_id
    link = Link(signed.hash, record.previous)
    where = place(chain, record.seq, link)
    if where not in ("next", "beyond"):
        if where == "record_contradiction":
            message = reading.message
            names = (record.device, claim.device.topic_id, record.chain, record.seq)
            decisions.contradictions.append(Contradiction(*names, message.arrived_ms, message.payload))
        detail = f"record {record.seq} of a chain that is complete up to {chain.upto_seq}"
        decisions.refusals.append(reading.refused(where, detail))
        return
    append(chain, record.seq, link)
    stale = record.to_ms < now_ms - rules.stale_ms
    if stale:
        detail = f"record {record.seq} ended at {record.to_ms}, it is {now_ms}: kept, but it earns nothing"
        decisions.refusals.append(reading.refused("record_stale", detail))
    decisions.records.append(
        AcceptedRecord(
            record.device,
            claim.device.topic_id,
            record.chain,
            record.seq,
            signed.hash,
            record.to_ms,
            reading.message.arrived_ms,
            signed.raw,
            stale,
            claim.envelope.kid,
        )
    )


def _take_commitment(
    claim: _Claim, commitment: Commitment, snapshot: Snapshot, now_ms: int, decisions: Decisions
) -> None:
    reading = claim.reading
    round_ = snapshot.rounds.get(commitment.challenge_height)
    key = (commitment.challenge_height, commitment.device, commitment.gpu)
    committed = snapshot.commitments.get(key)
    if not _in_time(claim, now_ms):
        refusal = reading.refused("delegation_invalid", "the record key's delegation does not cover this moment")
    elif round_ is None:
        refusal = reading.refused("pog_wrong_beacon", f"nothing was announced for height {commitment.challenge_height}")
    elif round_.profile != commitment.profile:
        refusal = reading.refused("pog_malformed", f"the challenge has profile {round_.profile}")
    elif committed is not None:
        code = "record_replay" if committed == commitment.root else "record_contradiction"
        refusal = reading.refused(code, f"{commitment.gpu} has committed to an answer already")
    elif round_.state != "open":
        refusal = reading.refused("pog_late", f"challenge {commitment.challenge_height} is {round_.state}")
    else:
        snapshot.commitments[key] = commitment.root
        decisions.commitments.append(AcceptedCommitment(commitment, reading.message, claim.device.topic_id))
        return
    decisions.refusals.append(refusal)


def _take_opening(claim: _Claim, opening: OpeningBody, snapshot: Snapshot, now_ms: int, decisions: Decisions) -> None:
    reading, proof = claim.reading, opening.proof
    round_ = snapshot.rounds.get(opening.challenge_height)
    committed = snapshot.commitments.get((opening.challenge_height, proof.device, proof.gpu))
    if not _in_time(claim, now_ms):
        refusal = reading.refused("delegation_invalid", "the record key's delegation does not cover this moment")
    elif round_ is None or round_.state == "closed":
        refusal = reading.refused("pog_late", f"no challenge of height {opening.challenge_height} takes openings")
    elif round_.state != "opened":
        refusal = reading.refused("pog_wrong_indices", "openings were not asked for yet: their beacon does not exist")
    elif committed is None:
        refusal = reading.refused("pog_wrong_path", f"{proof.gpu} committed to nothing for this challenge")
    else:
        message = reading.message
        decisions.openings.append(
            Opening(opening.challenge_height, proof, claim.device.topic_id, message.topic, message.arrived_ms)
        )
        return
    decisions.refusals.append(refusal)


def _in_time(claim: _Claim, now_ms: int) -> bool:
    """Whether the record key may speak now, for statements that carry no time of their own."""
    return claim.delegation.not_before_ms <= now_ms + FUTURE_MS and now_ms <= claim.delegation.not_after_ms


def _short(device: bytes | None) -> str:
    return "?" if device is None else device.hex()[:32]
