"""Registration of data centers, each by its own account; only that account can change or revoke it."""

from __future__ import annotations

from typing import Any

from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.wire.data_centers import (
    DataCenter,
    data_center_key,
    read_data_center_register,
    read_data_center_revoke,
)


def apply_data_center_register(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Register the sender, or replace what it registered."""
    content = read_data_center_register(body)
    entry = DataCenter(content.name, content.region, content.certificate, run.height)
    run.overlay.set_entry(data_center_key(sender), entry)
    attributes = (("address", sender.hex()), ("name", content.name), ("certificate", content.certificate.hex()))
    return (Event("data_center_register", attributes),)


def apply_data_center_revoke(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Take the registration back; refuses `tx_not_registered`."""
    read_data_center_revoke(body)
    if run.overlay.entry(data_center_key(sender), DataCenter) is None:
        raise Refused("tx_not_registered", f"{sender.hex()} is not a registered data center")
    run.overlay.set_entry(data_center_key(sender), None)
    return (Event("data_center_revoke", (("address", sender.hex()),)),)
