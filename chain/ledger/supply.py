"""The constant supply and its parts: every unit is in an account, a bond, a pool, a queue of payments, or reserved.

`total_supply` adds up the maintained parts; `recount.py` derives them anew from the entries themselves.
"""

from __future__ import annotations

import msgspec

from chain.errors import Faulty
from chain.ledger.overlay import Overlay, State
from chain.ledger.parameters import SUPPLY_ATTO
from chain.wire.state import SUPPLY_KEY, Supply


def total_supply(state: State) -> int:
    """The sum of the maintained parts in atto: always 10 000 000 000 ANKR."""
    data = state.get(SUPPLY_KEY)
    if data is None:
        raise Faulty("state_corrupt", "the state has no supply: it was never initialised")
    return Supply.decode(data).total_atto


def supply_of(overlay: Overlay) -> Supply:
    supply = overlay.entry(SUPPLY_KEY, Supply)
    if supply is None:
        raise Faulty("state_corrupt", "the state has no supply: it was never initialised")
    return supply


def release(overlay: Overlay, share: str, amount_atto: int) -> None:
    """Move reserved coins of a share to the accounts; raises `state_corrupt` when the share has less."""
    supply = supply_of(overlay)
    left = tuple((name, held - amount_atto if name == share else held) for name, held in supply.reserved)
    moved = msgspec.structs.replace(supply, accounts_atto=supply.accounts_atto + amount_atto, reserved=left)
    if moved.total_atto != SUPPLY_ATTO or min(held for _, held in left) < 0:
        raise Faulty("state_corrupt", f"share {share!r} cannot release {amount_atto} atto: {supply}")
    overlay.set_entry(SUPPLY_KEY, moved)


def move(overlay: Overlay, **changes_atto: int) -> None:
    """Add to the named parts; the changes must cancel out, and no part may go below zero.

    Raises `state_corrupt`, which halts the node: that is a fault of the ledger, never of a transaction.
    """
    supply = supply_of(overlay)
    moved = msgspec.structs.replace(
        supply, **{name: getattr(supply, name) + change for name, change in changes_atto.items()}
    )
    below_zero = [name for name in changes_atto if getattr(moved, name) < 0]
    if moved.total_atto != SUPPLY_ATTO or below_zero:
        raise Faulty("state_corrupt", f"supply would be {moved.total_atto} atto after {changes_atto} on {supply}")
    overlay.set_entry(SUPPLY_KEY, moved)
