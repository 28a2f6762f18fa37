"""The agent as a process: starts, enrols, records, says what it does, stops cleanly, survives kills."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from small_fleet import SmallFleet

import appliance.agent
from appliance.agent import agent
from appliance.agent import status as agent_status
from appliance.agent.events import EVENTS, EventStream
from appliance.agent.files import write_json
from appliance.agent.identity import open_identity
from appliance.agent.owner import open_owner
from appliance.agent.settings import Settings, load
from chain.errors import Faulty, Malformed
from chain.proofs.records import open_record
from fleet.protocol.messages import State, decode
from fleet.protocol.topics import STATE, WORK

SOURCES = sorted(Path(appliance.agent.__file__).parent.rglob("*.py"))


def remember_registration(home: Path) -> None:
    """There is no chain here: the agent shall have proven its registration in an earlier life."""
    settings = Settings(home=home)
    mark = {"genesis_hash": (b"g" * 32).hex(), "owner": open_owner(settings.owner_file).address, "height": 1}
    write_json(settings.registration_file, {**mark, "device": open_identity(settings.identity_file).device.hex()})


class Process:
    """An agent in a process of its own, heard line by line."""

    def __init__(self, home: Path, fleet: SmallFleet) -> None:
        remember_registration(home)
        settings = Settings(home=home, hub_url=fleet.hub.url, token=fleet.hub.token.text, json=True)
        self.process = subprocess.Popen(
            agent.command(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.events: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._arrived:
                self.events.append(json.loads(line))
                self._arrived.notify_all()

    def until(self, event: str, timeout_s: float = 20.0) -> dict[str, Any]:
        with self._arrived:
            found = self._arrived.wait_for(lambda: [e for e in self.events if e["event"] == event], timeout_s)
        assert found, f"no event {event}; seen {[e['event'] for e in self.events]}"
        return found[-1]

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(15)
        self._thread.join(5)
        assert self.process.stdout is not None and self.process.stderr is not None
        self.stderr = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def test_one_life_from_enrolment_to_a_clean_stop(home: Path, fleet: SmallFleet) -> None:
    process = Process(home, fleet)
    started = process.until("agent_started")
    assert process.until("enrolled")["fleet"] == "home"
    accepted = process.until("record_accepted")
    assert accepted["seq"] >= 0 and accepted["time_ms"] > 1_700_000_000_000
    running = agent_status.read(home)
    assert running["is_running"] and running["device"] == started["device"]
    assert process.end(signal.SIGTERM) == 0, process.stderr
    assert process.stderr == ""
    offline = fleet.until(lambda: [heard for heard in fleet.of(STATE) if not decode(heard.payload, State).online])
    assert decode(offline[0].payload, State).reason == "shutdown"
    stopped = agent_status.read(home)
    assert not stopped["is_running"] and not stopped["connected"] and stopped["enrolled"]
    assert isinstance(running["rss_bytes"], int) and running["rss_bytes"] < 60_000_000


def test_kill_nine_in_a_loop_signs_no_number_twice_and_loses_none(home: Path, fleet: SmallFleet) -> None:
    for _ in range(4):
        process = Process(home, fleet)
        process.until("record_accepted")
        process.end(signal.SIGKILL)
    process = Process(home, fleet)
    process.until("record_accepted")
    assert process.end(signal.SIGTERM) == 0, process.stderr
    by_number: dict[tuple[bytes, int], set[bytes]] = {}
    for heard in fleet.of(WORK):
        signed = open_record(heard.payload)
        by_number.setdefault((signed.record.chain, signed.record.seq), set()).add(signed.hash)
    assert all(len(hashes) == 1 for hashes in by_number.values())
    (chain,) = {chain for chain, _ in by_number}
    assert sorted(seq for _, seq in by_number) == list(range(len(fleet.records[chain])))


def test_a_failure_of_the_process_is_one_line_and_an_exit_code(home: Path) -> None:
    done = subprocess.run(agent.command(Settings(home=home, json=True)), capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["code"] == "usage"
    wrong = subprocess.run([sys.executable, "-m", "appliance.agent", "x"], capture_output=True, text=True, timeout=30)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1


def test_an_agent_without_hub_and_enrolment_says_what_is_missing(home: Path) -> None:
    with pytest.raises(Malformed, match="--hub") as refusal:
        agent.run(Settings(home=home), stop=threading.Event())
    assert refusal.value.exit_code == 2


def test_a_second_agent_on_one_home_is_refused(home: Path, fleet: SmallFleet) -> None:
    process = Process(home, fleet)
    process.until("enrolled")
    with pytest.raises(Faulty, match=f"process {process.process.pid}"):
        agent.run(Settings(home=home), stop=threading.Event())
    process.end(signal.SIGTERM)


def test_enrolling_alone_stores_the_membership(home: Path, fleet: SmallFleet, capsys) -> None:
    result = agent.enrol(Settings(home=home, hub_url=fleet.hub.url, token=fleet.hub.token.text, json=True))
    assert result["fleet"] == "home" and len(result["device"]) == 32
    assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == ["enrolled"]


def test_a_component_that_fails_is_started_again_and_told(events) -> None:
    class Fragile:
        name = "fragile"
        runs = 0

        def run(self, stop: threading.Event) -> None:
            self.runs += 1
            if self.runs < 3:
                raise ZeroDivisionError("once more")
            stop.set()

    stop, fragile = threading.Event(), Fragile()
    agent.RESTART_FIRST_S, before = 0.001, agent.RESTART_FIRST_S
    try:
        thread = agent._thread(fragile, stop, events)
        thread.start()
        thread.join(5)
    finally:
        agent.RESTART_FIRST_S = before
    assert fragile.runs == 3 and len(events.named("component_failed")) == 2


# Status, events, settings --------------------------------------------------------------------------------------------


def test_the_status_of_a_home_without_an_agent_is_an_error_not_a_guess(home: Path) -> None:
    with pytest.raises(Faulty, match="no agent has run"):
        agent_status.read(home)


def test_a_killed_agent_does_not_look_alive(home: Path, clock) -> None:
    board = agent_status.StatusBoard(Settings(home=home).status_file, clock)
    board.note(connected=True, pid=2**22 + 1)
    board.write()
    document = agent_status.read(home)
    assert (document["is_running"], document["connected"]) == (False, False)


def test_the_status_takes_only_fields_that_it_has(home: Path, clock) -> None:
    with pytest.raises(AttributeError):
        agent_status.StatusBoard(home / "s", clock).note(heigth=1)


def test_a_status_that_did_not_change_is_written_only_as_a_sign_of_life(home: Path, clock) -> None:
    path = home / "status.json"
    board = agent_status.StatusBoard(path, clock)
    written = []
    for step_ms in (0, 1_000, 1_000, 9_000, 1_000):
        clock.pass_ms(step_ms)
        board._write_if_new()
        written.append(json.loads(path.read_bytes())["written_ms"] == clock.now_ms())
    board.note(verified_height=7)
    board._write_if_new()
    assert written == [True, False, False, True, False]
    assert json.loads(path.read_bytes())["verified_height"] == 7


def emitted() -> list[tuple[str, str, set[str]]]:
    """(file, event, fields) of every `emit("event", field=…)` in the agent's sources."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _name(node.func) in ("emit", "_emit") and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.append((path.name, first.value, {keyword.arg or "" for keyword in node.keywords}))
    return found


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_what_is_emitted_and_what_is_registered_agree_both_ways() -> None:
    assert {event for _, event, _ in emitted()} == set(EVENTS)
    for file, event, fields in emitted():
        wanted = set(re.findall(r"\{(\w+)\}", EVENTS[event]))
        assert wanted <= fields, f"{file}: {event} lacks {wanted - fields}"


def test_an_event_is_one_json_line_or_one_sentence() -> None:
    as_json, as_text = io.StringIO(), io.StringIO()
    EventStream(as_json=True, now_ms=lambda: 5, stream=as_json)("connected", broker="b:1")
    EventStream(as_json=False, now_ms=lambda: 5, stream=as_text)("connected", broker="b:1")
    assert json.loads(as_json.getvalue()) == {"event": "connected", "time_ms": 5, "broker": "b:1"}
    assert as_text.getvalue() == "connected to the broker b:1\n"


def test_a_listener_that_went_away_does_not_stop_the_agent() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    stream = os.fdopen(write_end, "w")
    EventStream(as_json=True, now_ms=lambda: 5, stream=stream)("connected", broker="b:1")
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_settings_come_from_the_file_and_the_command_line_wins(home: Path) -> None:
    (home / "dccn.toml").write_text(
        '[agent]\nhub_url = "https://file:1"\nreconnect_cap_s = 5\nrpc_urls = ["http://a:1"]\n'
    )
    settings = load(home, hub_url="https://line:2", token=None)
    assert (settings.hub_url, settings.reconnect_cap_s, settings.rpc_urls) == ("https://line:2", 5.0, ("http://a:1",))


def test_what_the_system_hands_the_service_goes_before_the_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = tmp_path / "handed"
    for folder, hub in ((home, "a"), (handed, "b")):
        folder.mkdir(exist_ok=True)
        (folder / "dccn.toml").write_text(f'[agent]\nhub_url = "https://{hub}"\n')
    assert load(home).hub_url == "https://a"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    assert load(home).hub_url == "https://b"
    assert load(home, hub_url="https://c").hub_url == "https://c"
    (handed / "dccn.toml").unlink()
    assert load(home).hub_url == "https://a"


@pytest.mark.parametrize(
    "text", ["[agent]\nhub = 1", "[agent]\nhub_url = 7", "[agent", "agent = 3", "[agent]\njson = 1"]
)
def test_settings_that_make_no_sense_are_named(home: Path, text: str) -> None:
    (home / "dccn.toml").write_text(text)
    with pytest.raises(Malformed) as refusal:
        load(home)
    assert refusal.value.code == "usage"
