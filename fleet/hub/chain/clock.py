"""Whether this machine's clock agrees with the validators', who sign their time into every block."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chain.errors import DccnError, Faulty
from chain.light.rpc import RpcClient
from fleet.hub.chain.follower import Follower

TOLERANCE_MS: Final = 60_000
"""Beyond what a header lags behind its block: a signed record may be this much off before it earns nothing."""
LIVE_BLOCKS: Final = 3
"""Blocks between two looks that still count as made in between; more of them were fetched, not made."""
OLD_BLOCKS: Final = 3
"""A chain that stood still begins with one block of an old time; a clock that is ahead sees them all so."""
_NS_PER_MS: Final = 1_000_000


class ClockWatch:
    """Notices a clock that is ahead: blocks that were made just now carry a time long ago. Sans I/O.

    Records would fall into reward epochs that are not yet to come, and nobody would be paid.
    """

    def __init__(self) -> None:
        self._height: int | None = None
        self._old = 0

    def look(self, height: int, time_ms: int, now_ms: int, interval_ms: int, *, catching_up: bool) -> None:
        """Take in the newest verified header; `interval_ms` is the longest between blocks. Raises Faulty `clock_off`.

        To be called more often than blocks are made.
        """
        made = 0 if self._height is None else height - self._height
        self._height = height
        if made == 0:
            return
        late_ms = now_ms - time_ms
        is_old = late_ms > TOLERANCE_MS + 2 * interval_ms
        self._old = self._old + 1 if is_old and made <= LIVE_BLOCKS and not catching_up else 0
        if self._old >= OLD_BLOCKS:
            raise Faulty("clock_off", f"this machine's clock is {late_ms // 1000} s ahead of the chain's newest blocks")


def check_behind(url: str, home: Path, now_ns: Callable[[], int], connection: sqlite3.Connection) -> None:
    """After a header was refused as from the future: is it ours that is wrong? Raises Faulty `clock_off` if so.

    A header's time alone may be a lie, so it is verified as it would be if the clock were right. Anything
    else that is wrong with the node is left to the next attempt.
    """
    rpc = RpcClient(url)
    try:
        newest = rpc.signed_header().header
        behind_ms = newest.time_ns // _NS_PER_MS - now_ns() // _NS_PER_MS
        if behind_ms <= TOLERANCE_MS:
            return
        Follower(rpc, home, lambda: newest.time_ns + 10 * 10**9, remember=False).open(connection)
    except DccnError:
        return
    finally:
        rpc.close()
    raise Faulty("clock_off", f"this machine's clock is {behind_ms // 1000} s behind the chain's newest block")
