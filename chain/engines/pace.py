"""When the next height begins: often enough for transactions and proofs, seldom enough for an idle chain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """The chain's two intervals in milliseconds."""

    block_interval_ms: int
    empty_block_interval_ms: int

    async def wait(
        self, begun_s: float, proof_block: bool, available: asyncio.Event, clock_s: Callable[[], float]
    ) -> None:
        """Returns when the next height is due; `begun_s` is when the last one began, by the monotonic `clock_s`.

        A proof block (the last block changed the app hash, or there is none yet) comes after the normal interval,
        whoever waits, so that light clients can prove the new state; after it the chain idles.
        """
        normal_s = begun_s + self.block_interval_ms / 1000
        idle_s = begun_s + max(self.empty_block_interval_ms, self.block_interval_ms) / 1000
        if not proof_block:
            try:
                await asyncio.wait_for(available.wait(), max(0.0, idle_s - clock_s()))
            except TimeoutError:
                return
        await asyncio.sleep(max(0.0, normal_s - clock_s()))
