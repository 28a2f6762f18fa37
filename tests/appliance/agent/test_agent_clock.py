"""The hub's time, carried forward by the machine's own clocks."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.agent.clock import TOLERANCE_MS, HubClock

HOUR_MS = 3_600_000


class Machine:
    """A wall clock and a boot clock."""

    def __init__(self) -> None:
        self.wall, self.boot = 1_800_000_000_000, 10_000

    def clock(self, path: Path | None = None) -> HubClock:
        return HubClock(path, wall_ms=lambda: self.wall, boot_ms=lambda: self.boot)

    def pass_ms(self, ms: int) -> None:
        self.wall += ms
        self.boot += ms


def learn(clock: HubClock, machine: Machine, hub_ms: int) -> bool:
    return clock.learn(hub_ms, asked_ms=machine.boot, answered_ms=machine.boot)


@given(st.integers(-10 * HOUR_MS, 10 * HOUR_MS))
def test_after_one_answer_the_time_is_the_hubs(off_ms: int) -> None:
    machine = Machine()
    clock = machine.clock()
    learn(clock, machine, machine.wall + off_ms)
    assert abs(clock.now_ms() - (machine.wall + off_ms)) <= TOLERANCE_MS


def test_a_small_difference_is_the_networks_and_not_the_clocks() -> None:
    machine = Machine()
    clock = machine.clock()
    assert not learn(clock, machine, machine.wall + 1_500)
    assert clock.offset_ms == 0 and not clock.is_off


def test_a_slow_answer_counts_from_its_middle() -> None:
    machine = Machine()
    clock = machine.clock()
    asked, hub_ms = machine.boot, machine.wall + HOUR_MS + 5_000
    machine.pass_ms(10_000)
    clock.learn(hub_ms, asked_ms=asked, answered_ms=machine.boot)
    assert clock.offset_ms == HOUR_MS


def test_time_does_not_jump_when_somebody_sets_the_wall_clock_right() -> None:
    machine = Machine()
    clock = machine.clock()
    learn(clock, machine, machine.wall + HOUR_MS)
    before = clock.now_ms()
    machine.wall += HOUR_MS
    machine.pass_ms(1)
    assert clock.now_ms() == before + 1 and not clock.is_off


def test_a_small_slew_of_the_wall_clock_never_turns_time_back() -> None:
    machine = Machine()
    clock = machine.clock()
    before = clock.now_ms()
    machine.wall -= 500
    assert clock.now_ms() == before


def test_the_offset_is_remembered_over_a_restart(tmp_path: Path) -> None:
    machine = Machine()
    learn(machine.clock(tmp_path / "clock.json"), machine, machine.wall - HOUR_MS)
    again = machine.clock(tmp_path / "clock.json")
    assert again.offset_ms == -HOUR_MS and not again.is_measured
