"""What changes about a device while it lives: online or not, what it reports, what it measures, what it announces."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import or_, select, update

from fleet.hub.actions.desk import Desk
from fleet.hub.actions.events import (
    DeviceNotice,
    DeviceOffline,
    DeviceOnline,
    DeviceRegistered,
    DeviceReported,
    TelemetryReceived,
)
from fleet.hub.store.tables import devices
from fleet.protocol.messages import Event, GpuTelemetry, Reported, State, SystemTelemetry


def do_note_state(desk: Desk, topic_id: str, state: State) -> None:
    """The device's `state` message, or its last will. Says nothing when nothing changed."""
    with desk.change() as change:
        was = change.connection.execute(select(devices.c.online).where(devices.c.topic_id == topic_id)).scalar()
        reason = None if state.online else (state.reason or "unknown")
        values: dict[str, Any] = {"online": state.online, "offline_reason": reason, "state_ms": change.at_ms}
        if state.online:
            values["last_seen_ms"] = change.at_ms
        found = change.connection.execute(update(devices).where(devices.c.topic_id == topic_id).values(values))
        if found.rowcount == 0 or was is state.online:
            return
        if state.online:
            change.emit(DeviceOnline(at_ms=change.at_ms, device=topic_id))
        else:
            change.emit(DeviceOffline(at_ms=change.at_ms, device=topic_id, reason=reason or "unknown"))


def do_note_reported(desk: Desk, topic_id: str, reported: Reported) -> None:
    """The device's inventory, whole."""
    with desk.change() as change:
        document = msgspec.json.encode(reported).decode()
        values = {
            "reported": document,
            "reported_ms": change.at_ms,
            "last_seen_ms": change.at_ms,
        }
        found = change.connection.execute(
            update(devices)
            .where(devices.c.topic_id == topic_id, or_(devices.c.reported.is_(None), devices.c.reported != document))
            .values(values)
        )
        if found.rowcount:
            change.emit(DeviceReported(at_ms=change.at_ms, device=topic_id))


def note_telemetry(desk: Desk, topic_id: str, sample: SystemTelemetry | GpuTelemetry, gpu: int | None) -> None:
    """Gauges go to the live page and are not stored."""
    values = msgspec.to_builtins(sample)
    desk.bus.publish(TelemetryReceived(at_ms=desk.now_ms(), device=topic_id, gpu=gpu, sample=values))


def do_note_event(desk: Desk, topic_id: str, level: str, code: str, event: Event) -> None:
    """Something that the device wants a person to know."""
    with desk.change() as change:
        change.emit(DeviceNotice(at_ms=change.at_ms, device=topic_id, level=level, code=code, text=event.text[:500]))


def do_note_registered(desk: Desk, device: bytes, owner: bytes, owner_text: str, height: int) -> None:
    """The chain says that `owner` (20 bytes; `owner_text` as ankr1…) registered the device."""
    with desk.change() as change:
        found = change.connection.execute(
            update(devices)
            .where(devices.c.device == device, devices.c.registered_height.is_(None))
            .values(owner=owner, registered_height=height)
        )
        if found.rowcount:
            topic_id = device.hex()[:32]
            change.emit(DeviceRegistered(at_ms=change.at_ms, device=topic_id, owner=owner_text, height=height))
