"""The owner's PIN: it opens, wrong ones cost time, and no restart or damage opens it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.helper.pin import FIRST_PAUSE_S, FREE_TRIES, LONGEST_PAUSE_S, Pin
from chain.errors import Malformed, Refused
from tests.appliance.running_helper import RunningHelper

Start = Callable[..., RunningHelper]


def made(folder: Path) -> Pin:
    return Pin(folder / "pin.json", folder / "console-pin")


def tries(pin: Pin, given_pin: str, now_s: int) -> int | None:
    """None for the right one, else the pause until the next try."""
    try:
        pin.check(given_pin, now_s * 1000)
    except Refused as refused:
        return refused.retry_after_s or 0
    return None


def test_a_pin_is_kept_as_a_hash_that_only_root_reads(tmp_path: Path) -> None:
    pin = made(tmp_path)
    assert not pin.is_set()
    pin.set("493817")
    assert pin.is_set() and tries(pin, "493817", 100) is None and tries(pin, "493818", 100) == 0
    assert "493817" not in (tmp_path / "pin.json").read_text()
    assert (tmp_path / "pin.json").stat().st_mode & 0o777 == 0o600


def test_it_is_set_once_and_not_over_another(tmp_path: Path) -> None:
    pin = made(tmp_path)
    pin.set("1234")
    with pytest.raises(Refused, match="where there is one"):
        pin.set("9999")
    assert tries(pin, "1234", 0) is None


def test_what_stands_in_the_settings_counts_before_what_was_set(tmp_path: Path) -> None:
    pin = made(tmp_path)
    pin.set("1234")
    (tmp_path / "console-pin").write_text("8642\n")
    assert tries(pin, "1234", 0) == 0 and tries(pin, "8642", 0) is None
    (tmp_path / "console-pin").write_text("not a pin\n")
    assert tries(pin, "1234", 0) is None


def test_five_tries_are_free_and_then_each_costs_twice_as_much(tmp_path: Path) -> None:
    pin = made(tmp_path)
    pin.set("1234")
    now_s, pauses = 1000, []
    for _ in range(FREE_TRIES + 14):
        pause = tries(pin, "0000", now_s)
        assert pause is not None
        pauses.append(pause)
        now_s += pause
    assert pauses[: FREE_TRIES + 2] == [0] * (FREE_TRIES - 1) + [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert tries(pin, "1234", now_s) is None and tries(pin, "0000", now_s) == 0


def test_within_a_pause_not_even_the_right_one_opens_and_a_restart_changes_nothing(tmp_path: Path) -> None:
    made(tmp_path).set("1234")
    for _ in range(FREE_TRIES):
        tries(made(tmp_path), "0000", 1000)
    assert tries(made(tmp_path), "1234", 1000 + FIRST_PAUSE_S - 1) == 1
    assert tries(made(tmp_path), "1234", 1000 - 500) == FIRST_PAUSE_S
    assert tries(made(tmp_path), "1234", 1000 + FIRST_PAUSE_S) is None


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=30))
def test_however_the_tries_are_spread_no_more_are_looked_at_than_the_pauses_allow(
    tmp_path_factory: pytest.TempPathFactory, waits_s: list[int]
) -> None:
    pin = made(tmp_path_factory.mktemp("pin"))
    pin.replace("1234")
    now_s = looked_at = 0
    for wait_s in waits_s:
        now_s += wait_s
        before = json.loads(pin.stored.read_text())["wrong"]
        tries(pin, "0000", now_s)
        looked_at += json.loads(pin.stored.read_text())["wrong"] - before
    pauses = [min(FIRST_PAUSE_S * 2**n, LONGEST_PAUSE_S) for n in range(max(0, looked_at - FREE_TRIES))]
    assert sum(pauses) <= now_s


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"wrong": 3'])
def test_a_damaged_file_opens_nothing(tmp_path: Path, content: bytes) -> None:
    pin = made(tmp_path)
    pin.set("1234")
    pin.stored.write_bytes(content)
    for given_pin in ("1234", "", "0000"):
        assert tries(pin, given_pin, 10**6) is not None


@pytest.mark.parametrize("text", ["", "123", "1" * 13, "12 34", "abcd", "１２３４", "1234\n"])
def test_what_is_no_pin_is_not_set(tmp_path: Path, text: str) -> None:
    with pytest.raises(Malformed):
        made(tmp_path).set(text)
    assert not made(tmp_path).is_set()


def test_the_console_needs_it_for_what_cannot_be_taken_back(start_helper: Start) -> None:
    helper = start_helper("console")
    for given_pin in (None, "", "0000"):
        with pytest.raises(Refused) as refused:
            helper.client.ask("reboot", {"reason": "x"}, pin=given_pin)
        assert refused.value.code == "pin_refused"
    helper.client.ask("set-pin", {"pin": "2468"})
    assert helper.client.ask("pin-state") == {"is_set": True}
    with pytest.raises(Refused, match="not the owner's"):
        helper.client.ask("reboot", {"reason": "x"}, pin="1234")
    assert helper.calls == []
    helper.client.ask("reboot", {"reason": "x"}, pin="2468")
    assert helper.calls == ["systemctl --no-block reboot"]


def test_the_pin_is_never_in_the_log(start_helper: Start) -> None:
    helper = start_helper("console")
    helper.client.ask("set-pin", {"pin": "24689753"})
    helper.client.ask("reboot", {"reason": "x"}, pin="24689753")
    assert "24689753" not in (helper.folder / "log").read_text()


def test_another_caller_needs_none(start_helper: Start) -> None:
    helper = start_helper("agent")
    helper.client.ask("reboot", {"reason": "an update"})
    assert helper.calls == ["systemctl --no-block reboot"]
