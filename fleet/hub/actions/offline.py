"""What an admin at the hub's own shell can do without the hub's HTTP side: whoever may read its home is the admin."""

from __future__ import annotations

import time
from pathlib import Path

from fleet.hub.actions.attestation import do_trust_boot_state
from fleet.hub.actions.bus import EventBus
from fleet.hub.actions.desk import Desk
from fleet.hub.actions.enrolment import do_create_token
from fleet.hub.identity.membership import Identity
from fleet.hub.store import open_store
from fleet.protocol.limits import TOKEN_LIFETIME_S


def trust_boot_state(home: Path, device: str) -> None:
    """Pin the state of Secure Boot anew with the device's next quote. Raises Refused(device_unknown), Faulty."""
    store = open_store(home)
    try:
        do_trust_boot_state(Desk(store, EventBus(), lambda: time.time_ns() // 1_000_000), device)
    finally:
        store.close()


def create_token(home: Path, fleet: str, lifetime_s: int = TOKEN_LIFETIME_S) -> str:
    """A one-time enrolment token of the hub in this home, running or not. Raises Faulty(home_invalid | disk_full)."""
    store = open_store(home)
    try:
        desk = Desk(store, EventBus(), lambda: time.time_ns() // 1_000_000)
        token, _ = do_create_token(desk, Identity.open(home, fleet, desk.now_ms), lifetime_s)
        return token.text
    finally:
        store.close()
