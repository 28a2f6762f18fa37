"""What an appliance shows of itself: the right sentence at each step, a code that a phone reads, nothing that harms."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.console import words
from appliance.console.facts import Facts, State, gather
from appliance.console.page import page, server
from appliance.console.screen import COLUMNS, screen

CLAIM = {"code": "N7DK-5929", "hub_url": "https://hub.example:8443", "expires_ms": 1}
HOSTILE = "\x1b[2J<script>alert(1)</script>\x07\n"


def facts(status: dict[str, Any] | None = None, claim: dict[str, Any] | None = None) -> Facts:
    return Facts("dccn-1", "7", ("192.168.1.5",), status or {}, claim or {})


STEPS: dict[State, Facts] = {
    State.starting: facts(),
    State.unconfigured: facts({"enrolled": False, "hub_url": None}),
    State.joining: facts({"enrolled": False, "hub_url": "https://a", "problem": "it does not answer"}),
    State.claim: facts({"enrolled": False, "hub_url": "https://a"}, CLAIM),
    State.offline: facts({"enrolled": True, "connected": False}),
    State.stopped: facts({"enrolled": False, "is_running": False, "problem": "The disk is full."}),
    State.working: facts({"enrolled": True, "connected": True, "balance": "12.5", "accepted_seq": 7}),
}


@pytest.mark.parametrize("state", State)
def test_every_step_has_its_sentence_on_both_faces(state: State) -> None:
    look = STEPS[state]
    assert look.state is state
    assert words.sentence(look) in screen(look) and words.sentence(look) in page(look)
    assert words.advice(look)[:30] in screen(look)
    assert len({words.sentence(each) for each in STEPS.values()}) == len(State)


def test_the_code_stands_in_letters_and_as_a_qr_code_on_both() -> None:
    shown = screen(STEPS[State.claim])
    assert ("N  7  D  K  -  5  9  2  9" in shown and "▀" in shown) or "▄" in shown or "█" in shown
    assert "N7DK-5929" in page(STEPS[State.claim]) and "<svg" in page(STEPS[State.claim])
    assert "<svg" not in page(STEPS[State.working])


def test_money_and_records_are_shown_and_what_is_unknown_is_not() -> None:
    said = dict(words.lines(STEPS[State.working]))
    assert (said["balance"], said["accepted records"], said["name"]) == ("12.5 ANKR", "7", "dccn-1.local")
    assert "rewards" not in said and "verified height" not in said


def test_nothing_from_outside_steers_a_terminal_or_a_browser() -> None:
    hostile = facts({"enrolled": False, "hub_url": "x", "problem": HOSTILE, "fleet": HOSTILE, "device": HOSTILE})
    shown = screen(hostile)
    assert "\x1b" not in shown and "\x07" not in shown
    assert "<script" not in page(hostile)


@given(st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(max_size=40)))
def test_whatever_the_status_holds_there_is_a_face(status: dict[str, Any]) -> None:
    look = facts(status)
    assert max(len(line) for line in screen(look).splitlines()) <= COLUMNS + 2
    assert page(look).startswith("<!doctype html>")


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"[" * 100_000, b'{"enrolled": tru'])
def test_a_file_that_is_not_whole_is_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "status.json").write_bytes(content)
    assert gather(tmp_path).state is State.starting


def test_the_facts_are_read_from_the_agents_files(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"enrolled": False, "hub_url": "https://a"}))
    (tmp_path / "claim.json").write_text(json.dumps(CLAIM))
    (tmp_path / "os-release").write_text('ID=debian\nIMAGE_VERSION="7"\n')
    found = gather(tmp_path, tmp_path / "os-release")
    assert (found.state, found.code, found.version) == (State.claim, "N7DK-5929", "7")


@contextmanager
def served(look: Facts) -> Iterator[str]:
    made = server("127.0.0.1", 0, lambda: look)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{made.server_address[1]}"
    finally:
        made.shutdown()
        made.server_close()


def test_the_page_is_served_without_script_and_to_nobody_else() -> None:
    with served(STEPS[State.claim]) as url:
        with urllib.request.urlopen(url, timeout=5) as answer:
            text, headers = answer.read().decode(), answer.headers
        assert "default-src 'none'" in headers["Content-Security-Policy"] and headers["Server"].strip() == "dccn"
        assert not re.search(r"<script|javascript:|https?://(?!hub\.example|www\.w3\.org)", text)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}/../etc/passwd", timeout=5)


def test_what_is_wrong_with_the_owners_file_stands_on_both_faces(tmp_path: Path) -> None:
    file = tmp_path / "problems.json"
    file.write_text(json.dumps(["dccn.toml: there is no setting 'colour'; it is ignored" + " and" * 20, 7]))
    look = gather(tmp_path, problems=file)
    assert len(look.problems) == 1
    assert "there is no setting 'colour'" in screen(look) and "there is no setting &#x27;colour&#x27;" in page(look)
    assert max(map(len, screen(look).splitlines())) <= COLUMNS
