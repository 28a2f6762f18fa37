"""Upgrades: from which height on the ledger follows which version of its rules, as two thirds of the stake decide.

A program that does not know a block's rules halts before it, with everything before it committed; one that knows both
versions goes on there by itself. So operators may exchange the program at any time before the height, or after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chain.errors import Malformed, Refused
from chain.ledger.block import Event, Execution
from chain.ledger.governance import vote
from chain.wire.governance import UPGRADE_KEY, Plan, Upgrade, read_upgrade
from chain.wire.kinds import UPGRADE

FIRST_RULES = 1
KNOWN_RULES = frozenset({FIRST_RULES})
"""The versions of the rules that this program can follow."""


def rules_at(read: Callable[[bytes], bytes | None], height: int) -> int:
    """The version that the block at `height` follows, out of a state before it."""
    data = read(UPGRADE_KEY)
    return FIRST_RULES if data is None else Upgrade.decode(data).at(height)


def apply_upgrade(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Vote for a plan, or for taking back the one that waits.

    Refuses `tx_unauthorised`, `tx_duplicate`, `tx_not_registered` (no plan waits), `malformed` (rules that are not
    above the present ones, a height that is not above this block's).
    """
    plan = read_upgrade(body)
    present = rules_at(run.overlay.get, run.height)
    waiting = run.overlay.entry(UPGRADE_KEY, Upgrade)
    if plan.rules == 0:
        if waiting is None or waiting.height <= run.height:
            raise Refused("tx_not_registered", f"at height {run.height} no upgrade waits")
    elif plan.rules <= present or plan.height <= run.height:
        raise Malformed(
            "malformed", f"rules {plan.rules} at height {plan.height}, at height {run.height} with rules {present}"
        )
    elif waiting == Upgrade(present, *plan):
        raise Refused("tx_duplicate", f"rules {plan.rules} at height {plan.height} is the plan already")
    return vote(run, sender, UPGRADE, body, lambda: _set_plan(run, plan, present))


def _set_plan(run: Execution, plan: Plan, present: int) -> Event:
    """Taken back, the present rules stay; those of the first chain need no entry."""
    if plan.rules:
        entry: Upgrade | None = Upgrade(present, *plan)
    else:
        entry = None if present == FIRST_RULES else Upgrade(present, present, run.height)
    run.overlay.set_entry(UPGRADE_KEY, entry)
    return Event("upgrade", (("rules", str(plan.rules)), ("height", str(plan.height))))
