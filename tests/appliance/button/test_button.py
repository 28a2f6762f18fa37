"""The power button: what its presses mean, read as the kernel writes them, and asked of the real helper."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.button import keys
from appliance.button.__main__ import act, run
from appliance.button.presses import RESET_PRESSES, RESET_WITHIN_S, SETTLED_S, Meaning, Presses
from appliance.image import fat
from tests.appliance.running_helper import RunningHelper

Start = Callable[..., RunningHelper]


def meanings(times_s: list[float]) -> list[Meaning]:
    """What a series of presses came to, with a tick every half second."""
    series, found, now_s = Presses(), list[Meaning | None](), 0.0
    for at_s in [*times_s, (times_s or [0.0])[-1] + 60]:
        while now_s + 0.5 < at_s:
            now_s += 0.5
            found.append(series.wait(now_s))
        now_s = at_s
        if at_s in times_s:
            found.append(series.press(at_s))
    found.append(series.wait(now_s))
    return [each for each in found if each is not None]


@pytest.mark.parametrize(
    ("times_s", "meant"),
    [
        ([], []),
        ([0], [Meaning.power_off]),
        ([0, 1], []),
        ([0, 1, 2, 3], []),
        ([0, 1, 2, 3, 4], [Meaning.factory_reset]),
        ([0, 2.4, 4.8, 7.2, 9.6], [Meaning.factory_reset]),
        ([0, 2.9, 5.8, 8.7, 11.6], []),
        ([0, 10, 20, 30, 40], [Meaning.power_off] * 5),
        ([0, 1, 2, 3, 4, 20], [Meaning.factory_reset, Meaning.power_off]),
    ],
)
def test_one_press_switches_off_five_in_ten_seconds_reset_and_nothing_between_does_anything(
    times_s: list[float], meant: list[Meaning]
) -> None:
    assert meanings(times_s) == meant


@given(st.lists(st.floats(0.05, 20), max_size=30))
def test_a_reset_always_has_five_presses_within_ten_seconds_behind_it(pauses_s: list[float]) -> None:
    series, times_s, now_s = Presses(), list[float](), 0.0
    for pause_s in pauses_s:
        now_s += pause_s
        series.wait(now_s)
        times_s.append(now_s)
        if series.press(now_s) is Meaning.factory_reset:
            assert now_s - times_s[-RESET_PRESSES] <= RESET_WITHIN_S
            times_s.clear()
    if series.is_open:
        assert series.wait(now_s + SETTLED_S + 0.001) is not Meaning.factory_reset and not series.is_open


def event(kind: int, code: int, value: int) -> bytes:
    return struct.pack("llHHi", 0, 0, kind, code, value)


def test_only_presses_of_the_power_key_count() -> None:
    read_end, write_end = os.pipe2(os.O_NONBLOCK)
    os.write(write_end, event(1, 116, 1) + event(0, 0, 0) + event(1, 116, 0) + event(1, 30, 1) + event(1, 116, 2))
    assert keys.presses(read_end) == 1 and keys.presses(read_end) == 0
    os.close(write_end)
    with pytest.raises(OSError, match="gone"):
        keys.presses(read_end)
    os.close(read_end)


def test_what_is_no_input_device_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "event0").write_bytes(b"no device")
    (tmp_path / "event1").mkdir()
    assert list(keys.open_power_keys(tmp_path, set())) == []


def test_the_helper_does_what_the_button_asks_for(start_helper: Start) -> None:
    helper = start_helper("button")
    partition = helper.folder / "config.img"
    fat.make(partition, 34 << 20, "DCCNCFG", 1, {}, 1_767_225_600)
    act(helper.client, None)
    act(helper.client, Meaning.power_off)
    act(helper.client, Meaning.factory_reset)
    assert helper.calls == ["systemctl --no-block poweroff", "systemctl --no-block reboot"]
    assert fat.get(partition, "factory-reset") == b"by the helper\n"


def test_a_helper_that_is_away_does_not_end_the_button(start_helper: Start, capsys: pytest.CaptureFixture[str]) -> None:
    helper = start_helper("button")
    helper.stop()
    act(helper.client, Meaning.power_off)
    assert "asking the helper" in capsys.readouterr().err


def test_it_runs_without_any_device_and_ends_when_asked_to(tmp_path: Path, start_helper: Start) -> None:
    ending = threading.Event()
    thread = threading.Thread(target=run, args=(tmp_path, start_helper("button").client, ending))
    thread.start()
    time.sleep(0.2)
    ending.set()
    thread.join(20)
    assert not thread.is_alive()
