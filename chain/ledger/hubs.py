"""Hubs: the access layer, which verifies proofs and reports them. They are listed in the genesis document."""

from __future__ import annotations

from chain.errors import Refused
from chain.ledger.block import Execution
from chain.wire.state import Hub, hub_key


def check_hub(run: Execution, sender: bytes, hub: bytes) -> None:
    """Refuse `tx_unauthorised` unless `sender` reports in its own name and is a hub."""
    if sender != hub:
        raise Refused("tx_unauthorised", f"{sender.hex()} reports in the name of {hub.hex()}")
    if run.overlay.entry(hub_key(hub), Hub) is None:
        raise Refused("tx_unauthorised", f"{hub.hex()} is not a hub of this chain")
