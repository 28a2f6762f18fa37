"""When the hub believes that its clock is ahead of the chain's, and when it is the chain that is late."""

from __future__ import annotations

import pytest

from chain.errors import Faulty
from fleet.hub.chain.clock import LIVE_BLOCKS, OLD_BLOCKS, TOLERANCE_MS, ClockWatch

HOUR_MS = 3_600_000
INTERVAL_MS = 15_000
NOW_MS = 1_800_000_000_000


def look(watch: ClockWatch, height: int, late_ms: int, *, catching_up: bool = False) -> None:
    watch.look(height, NOW_MS - late_ms, NOW_MS, INTERVAL_MS, catching_up=catching_up)


def test_blocks_that_are_made_now_with_a_time_long_ago_say_that_the_clock_is_ahead() -> None:
    watch = ClockWatch()
    for height in range(10, 10 + OLD_BLOCKS):
        look(watch, height, HOUR_MS)
    with pytest.raises(Faulty, match="3600 s ahead") as caught:
        look(watch, 10 + OLD_BLOCKS, HOUR_MS)
    assert caught.value.code == "clock_off"


def test_a_clock_within_the_tolerance_is_right() -> None:
    watch = ClockWatch()
    for height in range(10, 20):
        look(watch, height, TOLERANCE_MS + 2 * INTERVAL_MS)


def test_a_chain_that_stands_still_tells_nothing_of_the_clock() -> None:
    watch = ClockWatch()
    for _ in range(20):
        look(watch, 10, HOUR_MS)


def test_a_chain_that_goes_on_after_it_stood_still_begins_with_an_old_block() -> None:
    watch = ClockWatch()
    look(watch, 10, HOUR_MS)
    look(watch, 11, HOUR_MS)
    for height in range(12, 20):
        look(watch, height, 0)


@pytest.mark.parametrize(("step", "catching_up"), [(LIVE_BLOCKS + 1, False), (1, True)])
def test_old_blocks_that_are_fetched_tell_nothing_of_the_clock(step: int, catching_up: bool) -> None:
    watch = ClockWatch()
    for height in range(10, 10 + 20 * step, step):
        look(watch, height, HOUR_MS, catching_up=catching_up)
