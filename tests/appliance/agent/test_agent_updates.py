"""What the agent does about updates: it passes words on, in both directions, and writes nothing of them itself."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from appliance.agent.update_report import UpdateReport
from appliance.agent.updates import settings
from appliance.agent.updates.record import Record, RecordFile
from appliance.agent.updates.sources import HttpsSource
from chain.errors import Unavailable
from chain.proofs.commands import Command
from fleet.protocol.messages import Hardware, Reported, decode, encode

COMMAND = Command("home", bytes(32), 1, 2, "update", [])


class Agent:
    """The report with what it says to its surroundings."""

    def __init__(self, folder: Path) -> None:
        self.face, self.updater = folder / "run/dccn-face", folder / "run/dccn-updates"
        self.hub: tuple[str, str | None] = ("https://hub.example:8443", None)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.notes: dict[str, Any] = {}
        self.asked: list[str] = []
        self.sent = self.refusals = 0
        self.report = UpdateReport(
            lambda: self.hub, self.face, lambda name, /, **fields: self.events.append((name, fields)),
            lambda **fields: self.notes.update(fields), self.send, ask=self.ask, folder=self.updater, interval_s=0.01,
            again_s=0.01,
        )  # fmt: skip

    def send(self) -> None:
        self.sent += 1

    def ask(self, verb: str) -> None:
        self.asked.append(verb)
        if len(self.asked) <= self.refusals:
            raise Unavailable("unreachable", "no helper")

    def says(self, **fields: Any) -> None:
        kept = RecordFile(self.updater.parent / "state", self.updater)
        kept.record = Record(version="1.0", channel="stable", **fields)
        kept.show()
        self.report.look()


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


def test_what_the_updater_is_at_reaches_status_hub_and_events_once(agent: Agent) -> None:
    agent.says(state="looking")
    agent.says(state="installing", release=3, done_bytes=1, step_bytes=9)
    agent.says(state="installing", release=3, done_bytes=5, step_bytes=9)
    agent.says(state="waiting", release=3, reason="release 4 starts in the window 02:00-05:00")
    agent.says(state="failed", release=3, code="unreachable", reason="nobody answers")
    assert [name for name, _ in agent.events] == ["update_installed", "update_failed"]
    assert agent.notes["update"]["state"] == "failed" and agent.sent == 4
    reported = agent.report.mark(Reported(version=1, hardware=Hardware()))
    assert decode(encode(reported), Reported).software == reported.software
    assert reported.software is not None
    assert (reported.software.version, reported.software.release, reported.software.code) == ("1.0", 3, "unreachable")


def test_a_machine_without_an_updater_reports_no_software(agent: Agent) -> None:
    agent.report.look()
    assert agent.report.mark(Reported(version=1, hardware=Hardware())).software is None
    assert agent.sent == 0 and agent.events == []


def test_the_updater_learns_which_hub_there_is_and_who_vouches_for_it(agent: Agent, tmp_path: Path) -> None:
    agent.report.look()
    (source,) = settings.sources(settings.Settings(), tmp_path)
    assert isinstance(source, HttpsSource) and source.name == "https://hub.example:8443/releases"
    agent.hub = ("https://other.example:1", None)
    agent.report.look()
    assert json.loads((agent.face / "hub.json").read_text())["hub_url"] == "https://other.example:1"


def test_the_hubs_command_reaches_the_updater_and_a_helper_that_is_away_is_told(agent: Agent) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=agent.report.run, args=(stop,))
    thread.start()
    try:
        agent.refusals = 2  # the helper is not there yet
        agent.report.take(COMMAND)
        _wait(lambda: agent.asked == ["look-for-update"] * 3)
        assert agent.events == []
        agent.refusals = 99
        agent.report.take(COMMAND)
        _wait(lambda: [name for name, _ in agent.events] == ["command_refused"])
    finally:
        stop.set()
        agent.report.wake()
        thread.join(5)


def _wait(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen")
