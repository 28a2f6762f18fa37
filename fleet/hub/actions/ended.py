"""Whether a device's end was asked for, or has come; whoever is let in again afterwards begins anew."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from fleet.hub.store.tables import decommissions, devices


@dataclass(frozen=True, slots=True)
class Asked:
    """An open request: the device (32 bytes) and the nonce that its proof must carry."""

    device: bytes
    nonce: bytes


def open_request(connection: Connection, device: bytes) -> Asked | None:
    """What is still asked of a device: until it was enrolled anew, or stated that it has been wiped."""
    table = decommissions
    row = connection.execute(
        select(table.c.nonce)
        .join(devices, devices.c.device == table.c.device)
        .where(table.c.device == device, table.c.after_ms.is_(None), devices.c.enrolled_ms <= table.c.asked_ms)
    ).one_or_none()
    return None if row is None else Asked(device, bytes(row.nonce))


def is_ended(connection: Connection, device: bytes) -> bool:
    """Whether the device stated its wipe and nobody has let it in again since."""
    table = decommissions
    row = connection.execute(
        select(table.c.before_ms)
        .join(devices, devices.c.device == table.c.device)
        .where(table.c.device == device, table.c.before_ms.is_not(None), devices.c.enrolled_ms <= table.c.asked_ms)
    ).one_or_none()
    return row is not None
