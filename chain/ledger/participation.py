"""Who precommitted how often in the running reward epoch: what block producers are paid by."""

from __future__ import annotations

from chain.ledger.block import FLAG_COMMIT, BlockInput
from chain.ledger.operators import operator_of
from chain.ledger.overlay import Overlay
from chain.wire.state import Entry

PARTICIPATION_KEY = b"participation"


class Participation(Entry, frozen=True):
    """Precommits for decided blocks by operator address, ascending, since the running reward epoch began."""

    counts: tuple[tuple[bytes, int], ...]


def precommits_by_operator(overlay: Overlay, block: BlockInput) -> dict[bytes, int]:
    """How many keys of each operator precommitted the previous block, as this block's LastCommit shows."""
    counts: dict[bytes, int] = {}
    for validator, flag in block.precommits:
        if flag == FLAG_COMMIT:
            operator = operator_of(overlay, validator)
            counts[operator] = counts.get(operator, 0) + 1
    return dict(sorted(counts.items()))


def count_participation(overlay: Overlay, block: BlockInput, precommits: dict[bytes, int]) -> None:
    """Add this block's precommits and those of the idle blocks before it to the running reward epoch."""
    counts = dict(participation(overlay))
    for operator, count in precommits.items():
        counts[operator] = counts.get(operator, 0) + count
    for validator, count in block.meta:
        operator = operator_of(overlay, validator)
        counts[operator] = counts.get(operator, 0) + count
    if counts:
        overlay.set_entry(PARTICIPATION_KEY, Participation(tuple(sorted(counts.items()))))


def participation(overlay: Overlay) -> tuple[tuple[bytes, int], ...]:
    entry = overlay.entry(PARTICIPATION_KEY, Participation)
    return () if entry is None else entry.counts


def reset_participation(overlay: Overlay) -> None:
    overlay.set_entry(PARTICIPATION_KEY, None)
