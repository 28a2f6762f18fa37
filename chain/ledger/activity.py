"""What happened to an account in one reward epoch besides its proven work: deals, ratings, fees.

It waits with the epoch's batches and is folded into the service level when they are settled.
"""

from __future__ import annotations

import msgspec

from chain.ledger.block import Execution
from chain.ledger.overlay import Overlay
from chain.wire.state import Entry


class Activity(Entry, frozen=True):
    """Counts of one epoch; `fees_paid_atto` is the platform's part of the fees of the deals that the account paid."""

    tasks_done: int = 0
    tasks_failed: int = 0
    deals_on_time: int = 0
    deals_defaulted: int = 0
    deals_late: int = 0
    stars_sum: int = 0
    ratings: int = 0
    fees_paid_atto: int = 0


class ActiveAccounts(Entry, frozen=True):
    """Who has an activity in one epoch, ascending."""

    addresses: tuple[bytes, ...]


NOTHING = Activity()


def activity_key(reward_epoch: int, address: bytes) -> bytes:
    return b"activity/" + reward_epoch.to_bytes(8, "big") + address


def active_key(reward_epoch: int) -> bytes:
    return b"active/" + reward_epoch.to_bytes(8, "big")


def count_activity(run: Execution, address: bytes, **more: int) -> None:
    """Add to the account's counts of the running reward epoch."""
    epoch = max(0, run.reward_epoch)
    key = activity_key(epoch, address)
    before = run.overlay.entry(key, Activity)
    if before is None:
        known = run.overlay.entry(active_key(epoch), ActiveAccounts) or ActiveAccounts(())
        run.overlay.set_entry(active_key(epoch), ActiveAccounts(tuple(sorted((*known.addresses, address)))))
        before = NOTHING
    added = {name: getattr(before, name) + count for name, count in more.items()}
    run.overlay.set_entry(key, msgspec.structs.replace(before, **added))


def take_activities(overlay: Overlay, reward_epoch: int) -> dict[bytes, Activity]:
    """Remove and return the epoch's activities, ascending by address."""
    known = overlay.entry(active_key(reward_epoch), ActiveAccounts) or ActiveAccounts(())
    found = {}
    for address in known.addresses:
        activity = overlay.entry(activity_key(reward_epoch, address), Activity)
        assert activity is not None, "an active account without an activity"
        found[address] = activity
        overlay.set_entry(activity_key(reward_epoch, address), None)
    if known.addresses:
        overlay.set_entry(active_key(reward_epoch), None)
    return found
