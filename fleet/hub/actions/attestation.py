"""A machine's attestation: what is believed of its TPM and its boot, and for how long."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.wire import cbor
from fleet.hub.actions.desk import Change, Desk
from fleet.hub.actions.enrolment import identity_of
from fleet.hub.actions.events import AttestationRefused, DeviceAttested
from fleet.hub.attestation.challenges import Opened
from fleet.hub.attestation.images import known_images
from fleet.hub.attestation.judgement import Judgement, judge
from fleet.hub.settings import Settings
from fleet.hub.store.tables import attestations, devices
from fleet.protocol.attestation import ATTESTED_FOR_MS, Attested, Proof
from fleet.protocol.topics import topic_id

MAX_REASON = 500


def do_attest(desk: Desk, settings: Settings, opened: Opened, proof: Proof) -> Attested:
    """Judge a proof and note the outcome: the device's evidence level rises to 3, or falls with the reason.

    Raises Refused and Malformed as `judge` does, after the refusal is on the disk.
    """
    with desk.store.read() as connection:
        identity = PublicKey.from_cose(cbor.decode(identity_of(connection, proof.device)))
        pinned = connection.execute(
            select(attestations.c.pcr7).where(attestations.c.device == proof.device)
        ).scalar_one_or_none()
    try:
        judgement = judge(proof, opened, identity, known_images(settings.images_folder), pinned)
    except Refused as refusal:
        with desk.change() as change:
            _note_refused(change, proof.device, refusal)
        raise
    with desk.change() as change:
        _note_moved(change, opened)
        return _note_accepted(change, opened, judgement)


def do_trust_boot_state(desk: Desk, topic: str) -> None:
    """An admin changed the machine's firmware or its Secure Boot keys: the next accepted quote pins them anew.

    Raises Refused(device_unknown).
    """
    mine = select(devices.c.device).where(devices.c.topic_id == topic).scalar_subquery()
    with desk.change() as change:
        found = change.connection.execute(update(attestations).where(attestations.c.device == mine).values(pcr7=None))
        if found.rowcount == 0:
            raise Refused("device_unknown", f"device {topic} has never proven how it boots")


def _note_accepted(change: Change, opened: Opened, judgement: Judgement) -> Attested:
    until_ms = change.at_ms + ATTESTED_FOR_MS
    values = {
        "at_ms": change.at_ms,
        "code": None,
        "reason": None,
        "not_after_ms": until_ms,
        "endorsement": opened.endorsement,
        "manufacturer": opened.manufacturer,
        "image": judgement.image.name,
        "secure_boot": judgement.secure_boot,
        "pcr7": judgement.pcr7,
        "pcr_digest": judgement.pcr_digest,
        "record_key": judgement.record_key,
    }
    _write(change, opened.device, values)
    change.emit(
        DeviceAttested(
            at_ms=change.at_ms,
            device=topic_id(opened.device),
            image=judgement.image.name,
            manufacturer=opened.manufacturer,
            secure_boot=judgement.secure_boot,
        )
    )
    return Attested(judgement.image.name, opened.manufacturer, judgement.secure_boot, until_ms)


def _note_refused(change: Change, device: bytes, refusal: Refused) -> None:
    reason = refusal.message[:MAX_REASON]
    _write(change, device, {"at_ms": change.at_ms, "code": refusal.code, "reason": reason, "not_after_ms": 0})
    change.emit(AttestationRefused(at_ms=change.at_ms, device=topic_id(device), code=refusal.code, reason=reason))


def _note_moved(change: Change, opened: Opened) -> None:
    """One TPM vouches for one device, the latest: else one box could be a fleet."""
    others = change.connection.execute(
        select(attestations.c.device).where(
            attestations.c.endorsement == opened.endorsement,
            attestations.c.device != opened.device,
            attestations.c.code.is_(None),
        )
    ).scalars()
    for other in others.all():
        why = f"its TPM vouches for device {topic_id(opened.device)} now"
        _note_refused(change, other, Refused("attestation_invalid", why))


def _write(change: Change, device: bytes, values: dict[str, Any]) -> None:
    change.connection.execute(
        upsert(attestations)
        .values(device=device, **values)
        .on_conflict_do_update(index_elements=["device"], set_=values)
    )
