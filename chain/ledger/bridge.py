"""The bridge to ANKR's other forms: locked here is minted there, burned there is released here.

One supply in three forms: what the ledger holds as locked for a form is the most that may exist of it elsewhere, and no
release takes more. The other chain is seen by guardians, whom two thirds of the stake choose; a burn is released when
`threshold` of them, more than half, said the very same of it. A minority can neither release nor use up the others'
room: open statements are kept for each guardian apart.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.ledger.governance import vote
from chain.ledger.supply import move, supply_of
from chain.wire.bridge import (
    BRIDGE_KEY,
    CLOSED,
    FORMS,
    GUARDIAN,
    MAX_SAID,
    Bridge,
    Guardians,
    Lock,
    Release,
    Said,
    Statement,
    lock_key,
    read_bridge_attest,
    read_bridge_guardians,
    read_bridge_lock,
    read_bridge_pause,
    release_key,
    said_key,
)
from chain.wire.kinds import BRIDGE_GUARDIANS, BRIDGE_PAUSE

STATEMENT_S = 7 * 86_400
"""How long a guardian's statement waits for the others'."""

_SECOND_NS = 10**9
_DAY_NS = 86_400 * _SECOND_NS
_NOTHING_SAID = Said(())


def apply_bridge_lock(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Take coins out of the sender's account for the other chain.

    Refuses `bridge_closed`, `bridge_paused`, `tx_insufficient_funds`.
    """
    wanted = read_bridge_lock(body)
    bridge = _open_bridge(run)
    purse = run.overlay.purse(sender)
    if purse.balance_atto < wanted.amount_atto:
        raise Refused("tx_insufficient_funds", f"{wanted.amount_atto} atto from a balance of {purse.balance_atto}")
    purse.balance_atto -= wanted.amount_atto
    move(run.overlay, accounts_atto=-wanted.amount_atto, **{_part(wanted.form): wanted.amount_atto})
    entry = Lock(wanted.form, sender, wanted.recipient, wanted.amount_atto, run.height)
    run.overlay.set_entry(lock_key(bridge.next_lock), entry)
    run.overlay.set_entry(BRIDGE_KEY, msgspec.structs.replace(bridge, next_lock=bridge.next_lock + 1))
    attributes = (("number", str(bridge.next_lock)), ("form", wanted.form), ("sender", sender.hex()))
    amount = ("amount_atto", str(wanted.amount_atto))
    return (Event("bridge_lock", (*attributes, ("foreign", f"0x{wanted.recipient.hex()}"), amount)),)


def apply_bridge_attest(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Say that a burn happened on the other chain; who makes it enough releases the coins.

    A guardian stands for one statement about a burn: another one replaces it. Refuses `bridge_closed`,
    `bridge_paused`, `tx_unauthorised`, `tx_duplicate` (said or released already), `bridge_uncovered`, `bridge_limit`
    (more than may be released today), `tx_limit` (too many of this guardian's wait).
    """
    statement = read_bridge_attest(body)
    bridge = _open_bridge(run)
    if sender not in bridge.guardians:
        raise Refused("tx_unauthorised", f"{sender.hex()} is no guardian of the bridge")
    if run.overlay.entry(release_key(statement.form, statement.burn), Release) is not None:
        raise Refused("tx_duplicate", f"burn {statement.burn.hex()} of {statement.form} was released already")
    _check_covered(run, statement)
    agreed = tuple(each for each in bridge.guardians if each == sender or _says(run, each, statement))
    if len(agreed) >= bridge.threshold:
        return (_attested(sender, statement, len(agreed)), _release(run, bridge, statement, agreed))
    _say(run, sender, statement)
    return (_attested(sender, statement, len(agreed)),)


def apply_bridge_pause(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Stop locks and releases, or let them go on.

    One guardian may stop the bridge at once; going on, and stopping without a guardian, is a vote of the stake.
    Refuses `tx_unauthorised`, `tx_duplicate` (it is so already).
    """
    voice, paused = read_bridge_pause(body)
    bridge = _bridge(run)
    if bridge.paused == paused:
        raise Refused("tx_duplicate", f"the bridge is {'paused' if paused else 'not paused'} already")
    if voice != GUARDIAN:
        return vote(run, sender, BRIDGE_PAUSE, body, lambda: _set_paused(run, paused))
    if sender not in bridge.guardians or not paused:
        raise Refused("tx_unauthorised", "a guardian may pause the bridge; going on takes two thirds of the stake")
    return (_set_paused(run, paused),)


def apply_bridge_guardians(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Vote for who guards the bridge, nobody to close it; refuses `tx_unauthorised`, `tx_duplicate`."""
    chosen, bridge = read_bridge_guardians(body), _bridge(run)
    if (bridge.guardians, bridge.threshold) == chosen:
        raise Refused("tx_duplicate", "the bridge has these guardians already")
    return vote(run, sender, BRIDGE_GUARDIANS, body, lambda: _set_guardians(run, chosen))


def _bridge(run: Execution) -> Bridge:
    return run.overlay.entry(BRIDGE_KEY, Bridge) or CLOSED


def _open_bridge(run: Execution) -> Bridge:
    bridge = _bridge(run)
    if not bridge.guardians:
        raise Refused("bridge_closed", "the bridge has no guardians")
    if bridge.paused:
        raise Refused("bridge_paused", "the bridge is paused")
    return bridge


def _part(form: str) -> str:
    """The part of the supply that is locked for a form."""
    return f"bridged_{form}_atto"


def _check_covered(run: Execution, statement: Statement) -> None:
    locked = getattr(supply_of(run.overlay), _part(statement.form))
    if statement.amount_atto > locked:
        raise Refused("bridge_uncovered", f"{statement.amount_atto} atto, {locked} are locked for {statement.form}")


def _same_burn(left: Statement, right: Statement) -> bool:
    return (left.form, left.burn) == (right.form, right.burn)


def _alive(run: Execution, guardian: bytes) -> tuple[tuple[Statement, int], ...]:
    """The guardian's statements that did not expire."""
    said = run.overlay.entry(said_key(guardian), Said) or _NOTHING_SAID
    return tuple(each for each in said.statements if run.time_ns <= each[1] + STATEMENT_S * _SECOND_NS)


def _say(run: Execution, guardian: bytes, statement: Statement) -> None:
    if _says(run, guardian, statement):
        raise Refused("tx_duplicate", f"{guardian.hex()} said this of burn {statement.burn.hex()} already")
    others = tuple(each for each in _alive(run, guardian) if not _same_burn(each[0], statement))
    if len(others) >= MAX_SAID:
        raise Refused("tx_limit", f"{guardian.hex()} has {MAX_SAID} statements that wait for other guardians")
    run.overlay.set_entry(said_key(guardian), Said((*others, (statement, run.time_ns))))


def _says(run: Execution, guardian: bytes, statement: Statement) -> bool:
    return any(said == statement for said, _ in _alive(run, guardian))


def _release(run: Execution, bridge: Bridge, statement: Statement, agreed: tuple[bytes, ...]) -> Event:
    form, burn, recipient, amount_atto = statement
    place, today = FORMS.index(form), run.time_ns // _DAY_NS
    day, before_atto = bridge.released[place]
    spent_atto = (before_atto if day == today else 0) + amount_atto
    if spent_atto > run.parameters.bridge_daily_limit_atto:
        limit = run.parameters.bridge_daily_limit_atto
        raise Refused("bridge_limit", f"{form} would have released {spent_atto} atto today, the limit is {limit}")
    move(run.overlay, accounts_atto=amount_atto, **{_part(form): -amount_atto})
    run.overlay.purse(recipient).balance_atto += amount_atto
    run.overlay.set_entry(release_key(form, burn), Release(recipient, amount_atto, run.height, agreed))
    released = tuple((today, spent_atto) if at == place else each for at, each in enumerate(bridge.released))
    run.overlay.set_entry(BRIDGE_KEY, msgspec.structs.replace(bridge, released=released))
    for guardian in bridge.guardians:
        _forget(run, guardian, statement)
    attributes = (("form", form), ("burn", burn.hex()), ("to", recipient.hex()), ("amount_atto", str(amount_atto)))
    return Event("bridge_release", attributes)


def _forget(run: Execution, guardian: bytes, released: Statement) -> None:
    """Whatever the guardian said of a burn that is done with, and what expired."""
    left = tuple(each for each in _alive(run, guardian) if not _same_burn(each[0], released))
    run.overlay.set_entry(said_key(guardian), Said(left) if left else None)


def _set_paused(run: Execution, paused: bool) -> Event:
    run.overlay.set_entry(BRIDGE_KEY, msgspec.structs.replace(_bridge(run), paused=paused))
    return Event("bridge_pause", (("paused", "yes" if paused else "no"),))


def _set_guardians(run: Execution, chosen: Guardians) -> Event:
    bridge = _bridge(run)
    for guardian in bridge.guardians:
        if guardian not in chosen.addresses:
            run.overlay.set_entry(said_key(guardian), None)
    changed = msgspec.structs.replace(bridge, guardians=chosen.addresses, threshold=chosen.threshold)
    run.overlay.set_entry(BRIDGE_KEY, changed)
    rows = (("guardian", guardian.hex()) for guardian in chosen.addresses)
    return Event("bridge_guardians", (("threshold", str(chosen.threshold)), *rows))


def _attested(sender: bytes, statement: Statement, agreed: int) -> Event:
    attributes = (("form", statement.form), ("burn", statement.burn.hex()), ("guardian", sender.hex()))
    return Event("bridge_attest", (*attributes, ("agreed", str(agreed))))
