"""The chain's clock: which reward epoch a block belongs to, and the boundaries that it crosses.

Source: economics.md. A boundary is the first block whose header time is at or past it; boundaries missed during a halt
are closed one by one in the next block.
"""

from __future__ import annotations

import msgspec

from chain.errors import Faulty
from chain.ledger.block import Execution
from chain.ledger.overlay import Overlay
from chain.ledger.pog import is_challenge_due, set_challenge
from chain.ledger.rewards import close_epoch
from chain.wire.state import CLOCK_KEY, Clock, epoch_key, reward_epoch_at


def clock_of(overlay: Overlay) -> Clock:
    clock = overlay.entry(CLOCK_KEY, Clock)
    if clock is None:
        raise Faulty("state_corrupt", "the state has no clock: it was never initialised")
    return clock


def is_boundary(run: Execution) -> bool:
    """Whether this block begins a reward epoch."""
    return reward_epoch_at(run.time_ns, run.genesis_time_ns, run.parameters.reward_epoch_s) > run.reward_epoch


def cross_boundaries(run: Execution, beacon: bytes) -> None:
    """Close every reward epoch that ended before this block, and set the PoG challenge where one is due."""
    p = run.parameters
    before = run.reward_epoch
    now = reward_epoch_at(run.time_ns, run.genesis_time_ns, p.reward_epoch_s)
    if now <= before:
        return
    while run.reward_epoch < now:
        if run.reward_epoch >= 0:
            close_epoch(run, run.reward_epoch)
        run.reward_epoch += 1
        if run.reward_epoch - before > p.challenge_window_epochs + 2:
            _pass_over_silence(run, now)
    _set_clock(run)
    if is_challenge_due(now, before, p.pog_period_epochs):
        set_challenge(run, beacon)


def _pass_over_silence(run: Execution, now: int) -> None:
    """Go on to the oldest epoch whose summary will be kept.

    By now every batch is paid and fees and precommits are shared out, so closing the epochs in between would emit and
    take back the same amount and write summaries that would be removed again: the result is the same without.
    """
    kept = run.parameters.epoch_summaries_kept
    oldest = now - kept
    if run.reward_epoch >= oldest:
        return
    for outdated in range(max(0, run.reward_epoch - kept), run.reward_epoch):
        run.overlay.set_entry(epoch_key(outdated), None)
    run.reward_epoch = oldest


def _set_clock(run: Execution) -> None:
    clock = msgspec.structs.replace(clock_of(run.overlay), reward_epoch=run.reward_epoch)
    run.overlay.set_entry(CLOCK_KEY, clock)
