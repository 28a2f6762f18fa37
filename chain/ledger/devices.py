"""Registration of devices: owner and device both sign, and the device's work is the owner's from then on.

A revoked device is remembered as it was until its last reward epoch's challenge window is over, and cannot be
registered anew before: work that is not settled yet can still be held against its record.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chain.crypto.address import device_id
from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.ledger.overlay import Overlay
from chain.ledger.service_levels import service_level_of
from chain.wire.bodies import device_register_bytes, read_device_register, read_device_revoke
from chain.wire.state import Device, RevokedDevice, device_key, revoked_key, service_key


def apply_device_register(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Register the device to the sender; refuses `tx_known_device`, `bad_signature`."""
    registration = read_device_register(body)
    device = device_id(registration.device)
    if run.overlay.entry(device_key(device), Device) is not None or _still_answers(run, device):
        raise Refused("tx_known_device", f"device {device.hex()} is registered already, or was until just now")
    message = device_register_bytes(run.chain_id, sender, registration.device)
    if not registration.device.verify(message, registration.signature):
        raise Refused("bad_signature", f"device {device.hex()} did not sign for owner {sender.hex()}")
    entry = Device(sender, registration.device.cose(), run.height, max(0, run.reward_epoch))
    run.overlay.set_entry(device_key(device), entry)
    _count(run, sender, 1)
    return (Event("device_register", (("owner", sender.hex()), ("device", device.hex()))),)


def apply_device_revoke(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """The sender's device is nobody's any more; refuses `tx_unknown_device`, `tx_unauthorised`."""
    device = read_device_revoke(body)
    entry = run.overlay.entry(device_key(device), Device)
    if entry is None:
        raise Refused("tx_unknown_device", f"device {device.hex()} is not registered")
    if entry.owner != sender:
        raise Refused("tx_unauthorised", f"device {device.hex()} belongs to {entry.owner.hex()}")
    run.overlay.set_entry(device_key(device), None)
    run.overlay.set_entry(revoked_key(device), RevokedDevice(entry, max(0, run.reward_epoch)))
    _count(run, sender, -1)
    return (Event("device_revoke", (("owner", sender.hex()), ("device", device.hex()))),)


def device_in(overlay: Overlay, device: bytes, reward_epoch: int) -> Device | None:
    """The device as it was registered in the reward epoch, also when it was revoked since; None if it was not."""
    entry = overlay.entry(device_key(device), Device)
    if entry is not None and entry.registered_epoch <= reward_epoch:
        return entry
    revoked = overlay.entry(revoked_key(device), RevokedDevice)
    if revoked is None or not revoked.device.registered_epoch <= reward_epoch <= revoked.revoked_epoch:
        return None
    return revoked.device


def last_known(overlay: Overlay, device: bytes) -> Device | None:
    """The device as it is registered, or was when it was revoked."""
    revoked = overlay.entry(revoked_key(device), RevokedDevice)
    return overlay.entry(device_key(device), Device) or (None if revoked is None else revoked.device)


def _still_answers(run: Execution, device: bytes) -> bool:
    revoked = run.overlay.entry(revoked_key(device), RevokedDevice)
    return (
        revoked is not None and run.reward_epoch <= revoked.revoked_epoch + run.parameters.challenge_window_epochs + 2
    )


def _count(run: Execution, owner: bytes, change: int) -> None:
    level = service_level_of(run.overlay, owner, run.parameters)
    run.overlay.set_entry(service_key(owner), msgspec.structs.replace(level, devices=level.devices + change))
