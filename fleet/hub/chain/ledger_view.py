"""What the ledger says about this hub and its fleet, read with proofs and noted for the page."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from chain.crypto import address
from chain.wire.amounts import format_ankr
from chain.wire.state import SUPPLY_KEY, Account, Device, Reward, Supply, account_key, device_key, reward_key
from fleet.hub.actions.desk import Desk
from fleet.hub.actions.devices import do_note_registered
from fleet.hub.actions.events import RewardsPaid

ReadState = Callable[[bytes], tuple[bytes | None, int]]
"""key -> (proven value or None, height)."""
DEVICES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Books:
    """Amounts as decimal ANKR; None is unknown."""

    supply: str | None = None
    hub_balance: str | None = None


def read_books(state: ReadState, hub: bytes) -> Books:
    """The total supply and the balance of the hub's account (20 bytes)."""
    supply, _ = state(SUPPLY_KEY)
    account, _ = state(account_key(hub))
    return Books(
        supply=None if supply is None else format_ankr(Supply.decode(supply).total_atto),
        hub_balance=format_ankr(0 if account is None else Account.decode(account).balance_atto),
    )


def note_registrations(desk: Desk, connection: sqlite3.Connection, state: ReadState) -> None:
    """Ask the ledger about the devices that it did not know when we last asked, newest first."""
    waiting = connection.execute(
        "SELECT device FROM devices WHERE registered_height IS NULL ORDER BY enrolled_ms DESC LIMIT ?",
        (DEVICES_AT_ONCE,),
    ).fetchall()
    for (device,) in waiting:
        value, _ = state(device_key(device))
        if value is not None:
            known = Device.decode(value)
            do_note_registered(desk, device, known.owner, address.encode(known.owner), known.registered_height)


def note_rewards(desk: Desk, connection: sqlite3.Connection, state: ReadState) -> None:
    """Write down what each owner was paid since we last looked: the ledger's total less what is written already."""
    owners = connection.execute("SELECT DISTINCT owner FROM devices WHERE owner IS NOT NULL").fetchall()
    paid: dict[tuple[int, int], dict[str, str]] = {}
    for (owner,) in owners:
        value, _ = state(reward_key(owner))
        if value is None:
            continue
        reward = Reward.decode(value)
        rows = connection.execute("SELECT amount FROM rewards WHERE owner = ?", (owner,)).fetchall()
        amount = reward.total_atto - sum(int(row[0]) for row in rows)
        if amount <= 0:
            continue
        found = connection.execute(
            "INSERT OR IGNORE INTO rewards (reward_epoch, owner, amount, height) VALUES (?,?,?,?)",
            (reward.closed_epoch, owner, str(amount), reward.height),
        )
        if found.rowcount:
            paid.setdefault((reward.closed_epoch, reward.height), {})[address.encode(owner)] = format_ankr(amount)
    for (reward_epoch, height), rewards in paid.items():
        with desk.change() as change:
            change.emit(RewardsPaid(at_ms=change.at_ms, reward_epoch=reward_epoch, height=height, rewards=rewards))
