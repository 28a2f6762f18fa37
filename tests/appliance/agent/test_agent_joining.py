"""An appliance that nobody starts again: it becomes a member however long that takes, and says why it is not yet."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_hub import SmallHub
from small_line import wait_for

from appliance.agent import status as agent_status
from appliance.agent.answer import Enrolment
from appliance.agent.clock import HubClock
from appliance.agent.identity import open_identity
from appliance.agent.joining import Joining
from appliance.agent.settings import Settings
from appliance.console import words
from appliance.console.facts import State, gather
from chain.errors import Malformed
from fleet.protocol.enrolment import Token


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.agent.enrolment.CLAIM_POLL_S", 0.01)
    monkeypatch.setattr("appliance.agent.joining.RETRY_FIRST_S", 0.01)


@pytest.fixture
def settings(home: Path, hub: SmallHub) -> Settings:
    return Settings(home=home, hub_url=hub.url, ca_pin=hub.token.pin.hex(), unattended=True)


class Start:
    """One start of the agent, up to its membership, in a thread."""

    def __init__(self, settings: Settings, events: Callable[..., None]) -> None:
        self.settings, self.stop = settings, threading.Event()
        self.said: list[str] = []
        self._arrived = threading.Condition()
        self._events = events
        self._found: Enrolment | None = None
        identity = open_identity(settings.identity_file)
        joining = Joining(settings, identity, HubClock(settings.clock_file), self._emit, self.stop)
        self._thread = threading.Thread(target=lambda: setattr(self, "_found", joining.member()), daemon=True)
        self._thread.start()

    def _emit(self, event: str, /, **fields: Any) -> None:
        self._events(event, **fields)
        with self._arrived:
            self.said.append(event)
            self._arrived.notify_all()

    def until(self, event: str, count: int = 1) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.said.count(event) >= count, 10), self.said

    def member(self) -> Enrolment | None:
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self._found


def until_there(path: Path) -> dict[str, Any]:
    """The file is written right after the event that the test waited for."""
    for _ in range(1_000):
        if path.exists():
            found: dict[str, Any] = json.loads(path.read_text())
            return found
        threading.Event().wait(0.005)
    raise AssertionError(f"no {path}")


def test_a_token_that_is_used_up_becomes_a_code_and_the_code_a_membership(
    settings: Settings, hub: SmallHub, events
) -> None:
    used = Token(hub.token.pin, b"spent and gone!!").text
    start = Start(replace(settings, token=used), events)
    start.until("claim_code")
    shown = until_there(settings.claim_file)
    assert (shown["code"], shown["hub_url"]) == ("ABCD-EFGH", hub.url)
    hub.claim_approved = True
    assert start.member() is not None
    assert not settings.claim_file.exists()
    assert [fields["code"] for fields in events.named("not_enrolled")] == ["token_invalid"]


def test_a_code_that_expired_is_followed_by_another_one(settings: Settings, hub: SmallHub, events) -> None:
    hub.claims_expire = 2
    start = Start(settings, events)
    start.until("claim_code", 3)
    hub.claim_approved = True
    assert start.member() is not None
    assert [fields["code"] for fields in events.named("not_enrolled")] == ["claim_invalid"] * 2


def test_a_hub_that_is_away_is_asked_again_and_the_status_says_so(settings: Settings, events) -> None:
    start = Start(replace(settings, hub_url="https://127.0.0.1:1"), events)
    start.until("not_enrolled", 3)
    status = agent_status.read(settings.home)
    assert "unreachable" in str(status["problem"]) and status["enrolled"] is False
    start.stop.set()
    assert start.member() is None


def test_without_a_hubs_address_it_waits_and_says_what_is_missing(settings: Settings, events) -> None:
    start = Start(replace(settings, hub_url=None), events)
    start.until("not_enrolled")
    assert "no hub is given" in str(agent_status.read(settings.home)["problem"])
    start.stop.set()
    assert start.member() is None


def test_where_somebody_is_there_to_read_it_the_refusal_ends_the_agent(settings: Settings, events) -> None:
    attended = replace(settings, hub_url=None, unattended=False)
    identity = open_identity(attended.identity_file)
    with pytest.raises(Malformed, match="no hub is given"):
        Joining(attended, identity, HubClock(attended.clock_file), events, threading.Event()).member()


def test_an_agent_that_cannot_start_says_why_on_the_face(tmp_path: Path) -> None:
    home, face = tmp_path / "home", tmp_path / "face"
    for folder in (home, face):
        folder.mkdir(mode=0o700)
    (home / "identity.key").write_text("not a key")
    (home / "identity.key").chmod(0o600)
    settings = json.dumps({"home": str(home), "unattended": True, "face_folder": str(face)})
    # It stays while a person reads: nobody waits for its end here.
    with subprocess.Popen([sys.executable, "-m", "appliance.agent", settings], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None and b"identity.key" in process.stderr.readline()
        wait_for(lambda: gather(face).state is State.stopped)
        look = gather(face)
        process.kill()
    assert "identity.key" in words.advice(look) and "(home_invalid)" in words.advice(look)
