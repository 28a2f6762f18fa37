"""One PoG round as a state machine: what to do next, given what is known now.

Pure, and asked again and again: a round is rows in the store, so a hub that was killed goes on where the rows say. open
(devices compute) → committed (the sorted commitments' root is on its way to the chain) → opened (devices show the rows
that the next beacon draws) → closed. A round whose commitment misses its window is failed: nobody passes, nobody fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

State = Literal["open", "committed", "opened", "closed", "failed"]
Step = Literal["wait", "commit", "open", "close", "fail"]

COMMIT_MARGIN_PARTS: Final = 12
"""The commitment transaction leaves when 1/12 of the window is left: a header's time lags the block by an interval."""
MIN_COMMIT_MARGIN_MS: Final = 200
OPENING_WINDOWS: Final = 2
"""Openings are taken for this many windows after the opening beacon."""
MIN_OPENING_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Round:
    """A challenge and how far its answers are. Times are milliseconds since 1970.

    `challenge_time_ms` is the challenge block's header time, `announced` and `answered` count devices, `commitments`
    and `settled` count GPUs. `commit_height` is null until a block includes the root, `opened_ms` until openings were
    asked for.
    """

    challenge_height: int
    challenge_time_ms: int
    window_ms: int
    state: State
    announced: int
    answered: int
    commitments: int
    settled: int
    commit_height: int | None = None
    commit_lost: bool = False
    opened_ms: int | None = None

    @property
    def commit_deadline_ms(self) -> int:
        """When the commitment transaction has to leave at the latest."""
        margin = max(MIN_COMMIT_MARGIN_MS, self.window_ms // COMMIT_MARGIN_PARTS)
        return self.challenge_time_ms + self.window_ms - margin

    @property
    def opening_deadline_ms(self) -> int | None:
        if self.opened_ms is None:
            return None
        return self.opened_ms + max(MIN_OPENING_MS, OPENING_WINDOWS * self.window_ms)


def next_step(state: Round, now_ms: int, newest_height: int) -> Step:
    """What this round needs now; "wait" when nothing but time or a message can move it."""
    if state.state == "open":
        everyone = state.announced > 0 and state.answered >= state.announced
        if everyone or now_ms >= state.commit_deadline_ms:
            return "commit" if state.commitments else ("fail" if now_ms >= state.commit_deadline_ms else "wait")
        return "wait"
    if state.state == "committed":
        if state.commit_height is not None:
            return "open" if newest_height > state.commit_height else "wait"
        return "fail" if state.commit_lost else "wait"
    if state.state == "opened":
        deadline = state.opening_deadline_ms
        late = deadline is not None and now_ms >= deadline
        return "close" if state.settled >= state.commitments or late else "wait"
    return "wait"


def challenge_index(time_ms: int, genesis_ms: int, period_ms: int) -> int:
    """Which period a block belongs to; the first block of each period but the very first is its challenge."""
    return (time_ms - genesis_ms) // period_ms


def is_challenge(previous_time_ms: int, time_ms: int, genesis_ms: int, period_ms: int) -> bool:
    """Whether a block is the first at or past a boundary of `pog_period`; the same for all fleets."""
    return challenge_index(time_ms, genesis_ms, period_ms) > challenge_index(previous_time_ms, genesis_ms, period_ms)
