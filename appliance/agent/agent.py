"""The agent: enrols if it must, starts every component in a thread of its own, keeps them running, stops cleanly."""

from __future__ import annotations

import json
import platform
import signal
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import msgspec

from appliance.agent import enrolment as enrolling
from appliance.agent.clock import HubClock
from appliance.agent.components import assemble
from appliance.agent.events import Emit, EventStream
from appliance.agent.files import exclusively, prepare_home
from appliance.agent.identity import open_identity
from appliance.agent.joining import Joining
from appliance.agent.memory import give_back
from appliance.agent.settings import Settings
from appliance.agent.watchdog import WatchedStop, of_this_process
from chain.errors import DccnError, Malformed
from chain.signals import call_on

RESTART_FIRST_S = 1.0
RESTART_CAP_S = 60.0
JOIN_TIMEOUT_S = 5.0
SETTLED_S = 5.0


class Component(Protocol):
    """One concern: `run` works until `stop` is set, or returns when its work is done for good."""

    name: str

    def run(self, stop: threading.Event) -> None: ...


def run(settings: Settings, *, stop: threading.Event | None = None, emit: Emit | None = None) -> int:
    """Run the agent until SIGTERM, SIGINT or `stop`; returns 0.

    Enrols first when the home is not enrolled and `settings.hub_url` is given. Raises Faulty `home_invalid` when
    another agent runs on this home, Malformed `usage` without enrolment and hub, and what enrolling raises.
    """
    watchdog = of_this_process()
    stop = stop or WatchedStop(watchdog)
    prepare_home(settings.home)
    with exclusively(settings.home):
        restore = call_on(stop.set, signal.SIGTERM, signal.SIGINT)
        watchdog.ready()
        try:
            _run(settings, stop, emit)
            watchdog.stopping()
        finally:
            restore()
    return 0


def command(settings: Settings) -> list[str]:
    """The command line of a process that is nothing but `run(settings)`, for `os.execv` or a supervisor."""
    chosen = msgspec.to_builtins(settings, enc_hook=str)
    stated = {name: value for name, value in chosen.items() if value is not None}
    return [sys.executable, "-m", "appliance.agent", json.dumps(stated)]


def enrol(settings: Settings) -> dict[str, str]:
    """Enrol `settings.home` with `settings.hub_url` and return what to show: device, fleet, hub, chain_id."""
    if settings.hub_url is None:
        raise Malformed("usage", "enrolling needs the hub's address: --hub https://HOST:PORT")
    stop = threading.Event()
    prepare_home(settings.home)
    with exclusively(settings.home):
        restore = call_on(stop.set, signal.SIGTERM, signal.SIGINT)
        try:
            joined = enrolling.enrol(settings, settings.hub_url, settings.token, stop=stop)
        finally:
            restore()
        identity = open_identity(settings.identity_file, settings.tpm)
    answer = joined.answer
    return {"device": identity.topic_id, "fleet": answer.fleet, "hub": joined.hub_url, "chain_id": answer.chain_id}


def agent_version() -> str:
    try:
        return version("dccn")
    except PackageNotFoundError:
        return "unknown"


def _run(settings: Settings, stop: threading.Event, emit: Emit | None) -> None:
    clock = HubClock(settings.clock_file)
    emit = emit or EventStream(as_json=settings.json, now_ms=clock.now_ms)
    identity = open_identity(settings.identity_file, settings.tpm)
    emit("agent_started", version=agent_version(), device=identity.topic_id, home=str(settings.home))
    if settings.tpm is not None:
        emit("identity_opened", held_by=identity.held_by, reason=identity.without_tpm)
    enrolment = Joining(settings, identity, clock, emit, stop).member()
    if enrolment is None:
        emit("agent_stopped", reason="asked to")
        return
    parts = assemble(
        settings, identity, enrolment, clock, emit, agent=f"dccn {agent_version()}", system=platform.platform()
    )
    threads = [_thread(component, stop, emit) for component in parts.components]
    for thread in threads:
        thread.start()
    if isinstance(stop, WatchedStop):
        stop.is_well = parts.is_well
    if not stop.wait(SETTLED_S):
        give_back()
        stop.wait()
    parts.wake()
    for thread in threads:
        thread.join(JOIN_TIMEOUT_S)
    parts.close()
    emit("agent_stopped", reason="asked to")


def _thread(component: Component, stop: threading.Event, emit: Emit) -> threading.Thread:
    def keep() -> None:
        delay_s = RESTART_FIRST_S
        while not stop.is_set():
            try:
                component.run(stop)
                return
            except Exception as error:  # one concern that fails must not take the others along
                reason = error.message if isinstance(error, DccnError) else f"{type(error).__name__}: {error}"
                emit("component_failed", component=component.name, reason=reason, again_s=delay_s)
                stop.wait(delay_s)
                delay_s = min(delay_s * 2, RESTART_CAP_S)

    return threading.Thread(target=keep, name=component.name, daemon=True)
