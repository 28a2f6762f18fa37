"""Downtime: how many of the blocks that a seated key should have precommitted it did, and jail for too few.

Source: economics.md "Money". Half of a window of 10 000 blocks must be signed. Every key has its own window, from the
first block whose LastCommit can hold its precommit; idle blocks count by what the application kept of them.
"""

from __future__ import annotations

from chain.crypto.address import validator_address
from chain.errors import Faulty
from chain.ledger.block import FLAG_COMMIT, BlockInput, Execution
from chain.ledger.operators import known_operator, operator_of
from chain.ledger.parameters import PERMILLE, Parameters
from chain.ledger.seats import seat_publics
from chain.ledger.slashing import jail_for_downtime
from chain.wire.state import Entry

SIGNING_KEY = b"signing"

# A key seated in block h is in force at h + 2, and its precommit stands in the LastCommit of the block after.
_FIRST_COMMIT_AFTER = 3
_GENESIS_FIRST_COMMIT = 2


class Signing(Entry, frozen=True):
    """Of each seated key: validator address, the first height of its window, precommits in it; ascending."""

    windows: tuple[tuple[bytes, int, int], ...]


def is_down(signed: int, expected: int, p: Parameters) -> bool | None:
    """Whether too few of the expected precommits came; None while the window is not over."""
    if expected < p.downtime_window_blocks:
        return None
    return signed * PERMILLE < expected * p.downtime_min_signed_permille


def count_signing(run: Execution, block: BlockInput) -> None:
    """Add the block's LastCommit and the idle blocks' precommits; jail the operators of keys that were down."""
    counts: dict[bytes, int] = dict(block.meta)
    for validator, flag in block.precommits:
        if flag == FLAG_COMMIT:
            counts[validator] = counts.get(validator, 0) + 1
    windows, down = [], []
    for validator, first_height, before in _signing(run).windows:
        signed = before + counts.get(validator, 0)
        verdict = is_down(signed, run.height - first_height + 1, run.parameters)
        if verdict:
            down.append(operator_of(run.overlay, validator))
        windows.append((validator, run.height + 1, 0) if verdict is not None else (validator, first_height, signed))
    run.overlay.set_entry(SIGNING_KEY, Signing(tuple(windows)))
    for operator in sorted(dict.fromkeys(down)):
        if not known_operator(run.overlay, operator).jailed:
            jail_for_downtime(run, operator)


def follow_seats(run: Execution) -> None:
    """At the block's end: windows begin for keys that were seated, and end for those that lost their seat."""
    if run.seated_before is None:
        return
    known = {window[0]: window for window in _signing(run).windows}
    begins = run.height + _FIRST_COMMIT_AFTER
    seated = sorted(validator_address(public) for public in seat_publics(run.overlay))
    windows = tuple(known.get(validator, (validator, begins, 0)) for validator in seated)
    run.overlay.set_entry(SIGNING_KEY, Signing(windows))


def first_windows(publics: tuple[bytes, ...]) -> Signing:
    """Of the genesis validators: their precommits for block 1 stand in block 2."""
    validators = sorted(validator_address(public) for public in publics)
    return Signing(tuple((validator, _GENESIS_FIRST_COMMIT, 0) for validator in validators))


def _signing(run: Execution) -> Signing:
    signing = run.overlay.entry(SIGNING_KEY, Signing)
    if signing is None:
        raise Faulty("state_corrupt", "the state has no signing windows: it was never initialised")
    return signing
