"""How a device becomes a member: tokens, claims, certificates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from chain.crypto import address
from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.proofs.receipts import Start
from fleet.hub.actions.desk import Change, Desk
from fleet.hub.actions.ended import is_ended
from fleet.hub.actions.events import CertificateIssued, ClaimApproved, ClaimBegun, DeviceEnrolled, TokenCreated
from fleet.hub.identity.authority import Issued
from fleet.hub.identity.codes import CODE_BYTES, code_text, parse_code, secret_hash
from fleet.hub.identity.membership import Identity
from fleet.hub.store.tables import certificates, claims, devices, enrolment_tokens, record_chains
from fleet.protocol.enrolment import SECRET_BYTES, EnrolRequest, Token, ca_pin
from fleet.protocol.limits import CLAIM_LIFETIME_S, MAX_OPEN_CLAIMS, TOKEN_LIFETIME_S
from fleet.protocol.topics import topic_id

_ZERO_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class Member:
    """A device that was let in: its certificate, and where its record chain begins."""

    device: bytes
    issued: Issued
    start: Start


@dataclass(frozen=True, slots=True)
class Claim:
    """What a device shows (`code`) and keeps (`ticket`)."""

    code: str
    ticket: bytes
    expires_ms: int


def do_create_token(desk: Desk, identity: Identity, lifetime_s: int = TOKEN_LIFETIME_S) -> tuple[Token, int]:
    """A token for one device, and when it expires. The database keeps its hash."""
    token = Token(ca_pin(identity.authority.spki), identity.entropy(SECRET_BYTES))
    with desk.change() as change:
        expires_ms = change.at_ms + lifetime_s * 1000
        change.connection.execute(
            insert(enrolment_tokens).values(
                secret_hash=secret_hash(token.secret), created_ms=change.at_ms, expires_ms=expires_ms
            )
        )
        change.emit(TokenCreated(at_ms=change.at_ms, expires_ms=expires_ms))
    return token, expires_ms


def do_begin_claim(desk: Desk, identity: Identity, public: PublicKey) -> Claim:
    """A code that a person can type for this device. An older unused code of the device is void."""
    device = address.device_id(public)
    claim = Claim(code_text(identity.entropy(CODE_BYTES)), identity.entropy(SECRET_BYTES), 0)
    with desk.change() as change:
        connection, now = change.connection, change.at_ms
        connection.execute(delete(claims).where((claims.c.expires_ms < now) | (claims.c.device == device)))
        if connection.execute(select(func.count()).select_from(claims)).scalar_one() >= MAX_OPEN_CLAIMS:
            raise Refused("rate_limited", f"{MAX_OPEN_CLAIMS} devices wait to be claimed; try again in 15 minutes")
        expires_ms = now + CLAIM_LIFETIME_S * 1000
        connection.execute(
            insert(claims).values(
                ticket_hash=secret_hash(claim.ticket),
                code_hash=secret_hash(claim.code.encode()),
                device=device,
                created_ms=now,
                expires_ms=expires_ms,
            )
        )
        change.emit(ClaimBegun(at_ms=now, device=topic_id(device)))
    return Claim(claim.code, claim.ticket, expires_ms)


def do_approve_claim(desk: Desk, typed: str) -> bytes:
    """An admin typed a code: the device it belongs to (32 bytes). Raises Refused or Malformed(claim_invalid)."""
    code = parse_code(typed)
    with desk.change() as change:
        row = change.connection.execute(
            select(claims).where(claims.c.code_hash == secret_hash(code.encode()), claims.c.expires_ms >= change.at_ms)
        ).one_or_none()
        if row is None or row.approved_ms is not None:
            raise Refused("claim_invalid", f"no device waits with the code {code}")
        change.connection.execute(
            update(claims).where(claims.c.ticket_hash == row.ticket_hash).values(approved_ms=change.at_ms)
        )
        change.emit(ClaimApproved(at_ms=change.at_ms, device=topic_id(row.device)))
    return bytes(row.device)


def do_enrol(desk: Desk, identity: Identity, request: EnrolRequest) -> Member:
    """Let a device in on its token or approved claim, and certify its TLS key.

    The same device may ask again with the same token or ticket until that expires, since the answer can get lost.
    Raises Refused(token_invalid | claim_invalid | claim_pending | record_foreign), Malformed for a bad CSR.
    """
    device = address.device_id(request.identity)
    issued = identity.authority.issue_device(request.csr, device, desk.now_ms())
    with desk.change() as change:
        by = _spend(change, request, device)
        again = _note_device(change, identity.fleet, request.identity, device, by)
        _begin_chain(change, device, request.chain)
        _note_certificate(change, device, issued, "enrol")
        change.emit(DeviceEnrolled(at_ms=change.at_ms, device=topic_id(device), by=by, again=again))
        start = _start_of(change.connection, device, request.chain, change.at_ms)
    return Member(device, issued, start)


def do_renew(desk: Desk, identity: Identity, device: bytes, csr: bytes) -> Member:
    """A new certificate for a known device, whose identity key signed the request; the old one may have expired.

    Raises Refused `device_revoked` for one that was decommissioned.
    """
    issued = identity.authority.issue_device(csr, device, desk.now_ms())
    with desk.change() as change:
        if is_ended(change.connection, device):
            raise Refused("device_revoked", f"device {topic_id(device)} was decommissioned here")
        _note_certificate(change, device, issued, "renew")
        newest = change.connection.execute(
            select(record_chains.c.chain)
            .where(record_chains.c.device == device)
            .order_by(record_chains.c.started_ms.desc())
            .limit(1)
        ).scalar_one()
        start = _start_of(change.connection, device, newest, change.at_ms)
    return Member(device, issued, start)


def identity_of(connection: Connection, device: bytes) -> bytes:
    """The COSE_Key, in canonical CBOR, of a known device. Raises Refused(device_unknown)."""
    key = connection.execute(select(devices.c.identity_key).where(devices.c.device == device)).scalar()
    if key is None:
        raise Refused("device_unknown", f"device {topic_id(device)} is not enrolled here")
    return bytes(key)


def _spend(change: Change, request: EnrolRequest, device: bytes) -> Literal["token", "claim"]:
    """Use up what the device came with."""
    if request.token_secret is not None:
        _spend_token(change, secret_hash(request.token_secret), device)
        return "token"
    assert request.ticket is not None
    _spend_claim(change, secret_hash(request.ticket), device)
    return "claim"


def _spend_token(change: Change, digest: bytes, device: bytes) -> None:
    table, now = enrolment_tokens, change.at_ms
    row = change.connection.execute(select(table).where(table.c.secret_hash == digest)).one_or_none()
    if row is None:
        raise Refused("token_invalid", "this hub made no such enrolment token")
    if row.expires_ms < now:
        raise Refused("token_invalid", f"the enrolment token expired {(now - row.expires_ms) // 60_000} minutes ago")
    if row.used_by is not None and row.used_by != device:
        raise Refused("token_invalid", "the enrolment token was used by another device")
    change.connection.execute(update(table).where(table.c.secret_hash == digest).values(used_ms=now, used_by=device))


def _spend_claim(change: Change, digest: bytes, device: bytes) -> None:
    row = change.connection.execute(select(claims).where(claims.c.ticket_hash == digest)).one_or_none()
    if row is None or row.device != device or row.expires_ms < change.at_ms:
        raise Refused("claim_invalid", "the claim is unknown or has expired; begin a new one")
    if row.approved_ms is None:
        raise Refused("claim_pending", "nobody has typed this device's code yet")
    change.connection.execute(update(claims).where(claims.c.ticket_hash == digest).values(used_ms=change.at_ms))


def _note_device(change: Change, fleet: str, public: PublicKey, device: bytes, by: str) -> bool:
    """Whether the device was a member before. The CA gives a name, 128 bits of the id, to one device only."""
    holder = change.connection.execute(
        select(devices.c.device).where(devices.c.topic_id == topic_id(device))
    ).scalar_one_or_none()
    if holder is not None and holder != device:
        raise Refused("record_foreign", f"another device has the name {topic_id(device)}: make a new identity key")
    values = {"enrolled_ms": change.at_ms, "enrolled_by": by, "fleet": fleet}
    change.connection.execute(
        upsert(devices)
        .values(device=device, topic_id=topic_id(device), identity_key=public.encoded(), **values)
        .on_conflict_do_update(index_elements=["device"], set_=values)
    )
    return holder is not None


def _begin_chain(change: Change, device: bytes, chain: bytes) -> None:
    change.connection.execute(
        upsert(record_chains)
        .values(device=device, chain=chain, next_seq=0, head_hash=_ZERO_HASH, started_ms=change.at_ms)
        .on_conflict_do_nothing()
    )


def _note_certificate(change: Change, device: bytes, issued: Issued, reason: Literal["enrol", "renew"]) -> None:
    change.connection.execute(
        insert(certificates).values(
            serial=issued.serial,
            device=device,
            issued_ms=change.at_ms,
            not_after_ms=issued.not_after_ms,
            reason=reason,
        )
    )
    change.emit(
        CertificateIssued(
            at_ms=change.at_ms,
            device=topic_id(device),
            serial=issued.serial,
            not_after_ms=issued.not_after_ms,
            reason=reason,
        )
    )


def _start_of(connection: Connection, device: bytes, chain: bytes, now_ms: int) -> Start:
    """Where `chain` begins: after the end of the device's chain before it, if that has records."""
    table = record_chains
    mine = select(table.c.started_ms).where(table.c.device == device, table.c.chain == chain).scalar_subquery()
    before = connection.execute(
        select(table.c.next_seq, table.c.head_hash)
        .where(table.c.device == device, table.c.chain != chain, table.c.started_ms <= mine, table.c.next_seq > 0)
        .order_by(table.c.started_ms.desc())
        .limit(1)
    ).one_or_none()
    if before is None:
        return Start(device, chain, None, None, now_ms)
    return Start(device, chain, before.next_seq - 1, bytes(before.head_hash), now_ms)
