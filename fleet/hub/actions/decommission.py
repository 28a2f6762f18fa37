"""The end of a device: an admin asks for it, the device signs its proof of wipe, the hub keeps both."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.wire import cbor
from fleet.hub.actions.desk import Desk
from fleet.hub.actions.ended import Asked, open_request
from fleet.hub.actions.enrolment import identity_of
from fleet.hub.actions.events import DecommissionAsked, DeviceWiped
from fleet.hub.identity.membership import Identity
from fleet.hub.store.tables import decommissions, devices
from fleet.protocol.decommission import NONCE_BYTES, Phase, check_wipe, read_wipe
from fleet.protocol.topics import topic_id


def do_ask_decommission(desk: Desk, identity: Identity, topic: str) -> Asked:
    """Ask for the end of a device of this fleet. Asked again, the same request goes on.

    Raises Refused `device_unknown`.
    """
    with desk.change() as change:
        row = change.connection.execute(
            select(devices.c.device, devices.c.enrolled_ms).where(devices.c.topic_id == topic)
        ).one_or_none()
        if row is None:
            raise Refused("device_unknown", f"device {topic} is not enrolled here")
        device, table = bytes(row.device), decommissions
        standing = open_request(change.connection, device)
        if standing is not None:
            return standing
        nonce = identity.entropy(NONCE_BYTES)
        values: dict[str, Any] = {"nonce": nonce, "asked_ms": change.at_ms}
        values |= dict.fromkeys(("before_ms", "before_raw", "after_ms", "after_raw"))
        change.connection.execute(
            upsert(table).values(device=device, **values).on_conflict_do_update(index_elements=["device"], set_=values)
        )
        change.emit(DecommissionAsked(at_ms=change.at_ms, device=topic))
    return Asked(device, nonce)


def do_note_wipe(desk: Desk, data: bytes, chain_id: str | None) -> None:
    """A device's statement about its wipe, kept as it came.

    Raises Malformed for the bytes, Refused `bad_signature`, `device_unknown`, or `command_invalid` when nobody asked
    this device to end with this nonce, when it is for another chain, or when `after` comes without `before`.
    """
    statement, envelope = read_wipe(data)
    topic = topic_id(statement.device)
    with desk.change() as change:
        key = PublicKey.from_cose(cbor.decode(identity_of(change.connection, statement.device)))
        check_wipe(statement, envelope, key)
        table = decommissions
        row = change.connection.execute(select(table).where(table.c.device == statement.device)).one_or_none()
        if row is None or row.nonce != statement.nonce:
            raise Refused("command_invalid", f"nobody asked device {topic} to end with the nonce that it signed")
        if chain_id is not None and statement.chain != chain_id:
            raise Refused("command_invalid", f"the statement is for the chain {statement.chain}, not {chain_id}")
        if statement.phase is Phase.after and row.before_ms is None:
            raise Refused("command_invalid", f"device {topic} never stated its wipe before it")
        change.connection.execute(
            update(table)
            .where(table.c.device == statement.device)
            .values({f"{statement.phase}_ms": change.at_ms, f"{statement.phase}_raw": data})
        )
        change.emit(
            DeviceWiped(
                at_ms=change.at_ms,
                device=topic,
                phase=statement.phase.value,
                method=statement.method,
                revoked_height=statement.revoked_height,
            )
        )
