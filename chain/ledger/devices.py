"""Registration of devices: owner and device both sign, and the device's work is the owner's from then on."""

from __future__ import annotations

from typing import Any

import msgspec

from chain.crypto.address import device_id
from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.ledger.service_levels import service_level_of
from chain.wire.bodies import device_register_bytes, read_device_register
from chain.wire.state import Device, device_key, service_key


def apply_device_register(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Register the device to the sender; refuses `tx_known_device`, `bad_signature`."""
    registration = read_device_register(body)
    device = device_id(registration.device)
    if run.overlay.entry(device_key(device), Device) is not None:
        raise Refused("tx_known_device", f"device {device.hex()} is registered already")
    message = device_register_bytes(run.chain_id, sender, registration.device)
    if not registration.device.verify(message, registration.signature):
        raise Refused("bad_signature", f"device {device.hex()} did not sign for owner {sender.hex()}")
    entry = Device(sender, registration.device.cose(), run.height, max(0, run.reward_epoch))
    run.overlay.set_entry(device_key(device), entry)
    level = service_level_of(run.overlay, sender, run.parameters)
    run.overlay.set_entry(service_key(sender), msgspec.structs.replace(level, devices=level.devices + 1))
    return (Event("device_register", (("owner", sender.hex()), ("device", device.hex()))),)
