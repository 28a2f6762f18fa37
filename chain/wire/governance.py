"""Bodies of what two thirds of the stake decide: roles, parameters, upgrades.

There is no separate vote: every operator that agrees sends the same content, and the transaction that makes two thirds
carries it out.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from chain.crypto.address import ADDRESS_BYTES
from chain.errors import Malformed
from chain.wire.amounts import MAX_AMOUNT
from chain.wire.fields import Fields
from chain.wire.kinds import PARAMETER_CHANGE, ROLE, UPGRADE, Content
from chain.wire.state import Entry

HUB_ROLE = "hub"
MAX_CHANGES = 16
MAX_NAME_BYTES = 64
MAX_RULES = 1 << 32
MAX_HEIGHT = (1 << 63) - 1
UPGRADE_KEY = b"upgrade"


class RoleChange(NamedTuple):
    """`[grant, role, address, name]`: `grant` false takes the role away; the only role is "hub"."""

    grant: bool
    role: str
    address: bytes
    name: str


class Plan(NamedTuple):
    """`[rules, height]`: the ledger follows version `rules` from `height` on; `[0, 0]` takes a plan back."""

    rules: int
    height: int


class Upgrade(Entry, frozen=True):
    """What the state holds under `upgrade`: version `before` below `height`, version `rules` from it on."""

    before: int
    rules: int
    height: int

    def at(self, height: int) -> int:
        """The version that the block at `height` follows."""
        return self.rules if height >= self.height else self.before


def role(grant: bool, address: bytes, name: str) -> Content:
    """Give or take the role of a hub."""
    return ROLE, [grant, HUB_ROLE, address, name]


def parameter_change(changes: dict[str, int]) -> Content:
    """`[[[name, value], …]]`, in ascending order of names."""
    return PARAMETER_CHANGE, [[[name, value] for name, value in sorted(changes.items())]]


def upgrade(rules: int, height: int) -> Content:
    return UPGRADE, [rules, height]


def read_role(body: list[Any]) -> RoleChange:
    fields = Fields(body, None, 4)
    grant, named = fields.any(0), fields.text(1, MAX_NAME_BYTES)
    if type(grant) is not bool or named != HUB_ROLE:
        raise Malformed("malformed", f"a change of roles is [true or false, {HUB_ROLE!r}, address, name]")
    return RoleChange(grant, named, fields.octets(2, ADDRESS_BYTES), fields.text(3, MAX_NAME_BYTES))


def read_parameter_change(body: list[Any]) -> dict[str, int]:
    """Values by name."""
    changes = []
    for row in Fields(body, None, 1).array(0, MAX_CHANGES):
        fields = Fields(row, None, 2)
        changes.append((fields.text(0, MAX_NAME_BYTES), fields.integer(1, 0, MAX_AMOUNT)))
    if not changes or any(left[0] >= right[0] for left, right in pairwise(changes)):
        raise Malformed("malformed", "changed parameters ascend by name, one value for each")
    return dict(changes)


def read_upgrade(body: list[Any]) -> Plan:
    fields = Fields(body, None, 2)
    plan = Plan(fields.integer(0, 0, MAX_RULES), fields.integer(1, 0, MAX_HEIGHT))
    if (plan.rules == 0) != (plan.height == 0):
        raise Malformed("malformed", f"an upgrade is [rules, height], or [0, 0] to take one back, not {list(plan)}")
    return plan
