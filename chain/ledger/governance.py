"""What two thirds of the stake decide: who is a hub, the chain's parameters, and what other subjects have voted.

A vote is the same content sent by another operator. It weighs the operator's bond at the moment of counting, so stake
that left in between counts nothing; a motion that is not carried within `motion_s` begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from chain.errors import Malformed, Refused
from chain.ledger.block import Event, Execution
from chain.ledger.operators import is_listed, operator_at, relist, total_stake
from chain.ledger.parameters import PARAMETERS_KEY, Parameters
from chain.wire import cbor
from chain.wire.governance import RoleChange, read_parameter_change, read_role
from chain.wire.kinds import PARAMETER_CHANGE, ROLE
from chain.wire.state import Entry, Hub, hub_key

# Changing these would renumber epochs, skip batches that wait for their window, or give seated keys unequal power.
FIXED = (
    "challenge_window_epochs",
    "election_epoch_s",
    "reward_epoch_s",
    "validator_power",
)

_SECOND_NS = 10**9


class Motion(Entry, frozen=True):
    """Who agreed so far."""

    opened_ns: int
    voters: tuple[bytes, ...]


def motion_key(kind: int, body: list[Any]) -> bytes:
    return b"motion/" + sha256(cbor.encode([kind, body])).digest()


def apply_role(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Vote for a hub, or against one; refuses `tx_unauthorised` (no listed operator), `tx_duplicate`."""
    change = read_role(body)
    if (run.overlay.entry(hub_key(change.address), Hub) is not None) == change.grant:
        raise Refused("tx_duplicate", f"{change.address.hex()} is {'a' if change.grant else 'no'} hub already")
    return vote(run, sender, ROLE, body, lambda: _set_role(run, change))


def apply_parameter_change(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Vote for new values; refuses `tx_unauthorised`, `tx_duplicate`, `malformed` (unknown, fixed, or not valid)."""
    changes = read_parameter_change(body)
    unknown = [name for name in changes if name not in run.parameters.by_name or name in FIXED]
    if unknown:
        raise Malformed("malformed", f"the chain has no parameters {unknown} that may change")
    changed = Parameters(**{**run.parameters.by_name, **changes})
    return vote(run, sender, PARAMETER_CHANGE, body, lambda: _set_parameters(run, changed))


def is_carried(voted_atto: int, total_atto: int) -> bool:
    """Whether those who agree hold at least two thirds of the stake of all listed operators."""
    return voted_atto > 0 and 3 * voted_atto >= 2 * total_atto


def vote(
    run: Execution, sender: bytes, kind: int, body: list[Any], carry_out: Callable[[], Event]
) -> tuple[Event, ...]:
    """Count the sender for this content, and carry it out when two thirds agree.

    Refuses `tx_unauthorised`, `tx_duplicate`.
    """
    if not is_listed(operator_at(run.overlay, sender), run.parameters):
        raise Refused("tx_unauthorised", f"{sender.hex()} is no operator with a key and the minimum bond")
    key = motion_key(kind, body)
    motion = run.overlay.entry(key, Motion)
    if motion is None or run.time_ns > motion.opened_ns + run.parameters.motion_s * _SECOND_NS:
        motion = Motion(run.time_ns, ())
    if sender in motion.voters:
        raise Refused("tx_duplicate", f"{sender.hex()} agreed to this already")
    voters = (*motion.voters, sender)
    voted = sum(_stake_of(run, voter) for voter in voters)
    attributes = (("motion", key[-32:].hex()), ("operator", sender.hex()), ("stake_atto", str(voted)))
    vote = Event("vote", attributes)
    if not is_carried(voted, total_stake(run.overlay)):
        run.overlay.set_entry(key, Motion(motion.opened_ns, voters))
        return (vote,)
    run.overlay.set_entry(key, None)
    return (vote, carry_out())


def _stake_of(run: Execution, voter: bytes) -> int:
    operator = operator_at(run.overlay, voter)
    return operator.bond_atto if operator is not None and is_listed(operator, run.parameters) else 0


def _set_role(run: Execution, change: RoleChange) -> Event:
    run.overlay.set_entry(hub_key(change.address), Hub(change.name) if change.grant else None)
    what = "grant" if change.grant else "revoke"
    return Event("role", (("role", change.role), ("address", change.address.hex()), ("change", what)))


def _set_parameters(run: Execution, changed: Parameters) -> Event:
    before = run.parameters.by_name
    run.overlay.put(PARAMETERS_KEY, changed.encode())
    run.parameters = changed
    relist(run.overlay, changed)
    return Event(
        "parameters", tuple((name, str(value)) for name, value in changed.by_name.items() if value != before[name])
    )
