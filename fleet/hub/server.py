"""`dccn hub run`: store, broker, services and both HTTP servers as one program that starts and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import gc
import importlib.metadata
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TextIO

import uvicorn
from litestar import Litestar

from chain import files
from chain.errors import DccnError, Faulty, Malformed
from chain.web.server import WebServer
from fleet.hub.actions.bus import EventBus
from fleet.hub.actions.desk import Desk
from fleet.hub.actions.events import BrokerStarted, BrokerStopped, HubStarted
from fleet.hub.api.admin import page_app
from fleet.hub.api.board import Board
from fleet.hub.api.context import Hub
from fleet.hub.api.devices import device_app
from fleet.hub.attestation.challenges import Challenges
from fleet.hub.broker.endpoint import BrokerEndpoint
from fleet.hub.broker.supervisor import Broker
from fleet.hub.identity.authority import HUB_USER
from fleet.hub.identity.keyfiles import IDENTITY_FOLDER
from fleet.hub.identity.membership import Identity
from fleet.hub.ports import ChainPort, CommandPort, ProofPort
from fleet.hub.settings import Ports, Settings, listen
from fleet.hub.store import open_store

GRACE_S: Final = 3
MAX_CONNECTIONS: Final = 1_000
_log = logging.getLogger(__name__)


class Services(Protocol):
    """Ingest, proofs and the chain follower, as one thing to start and stop.

    `on_halt` is called from any thread with the reason when they cannot go on.
    """

    on_halt: Callable[[DccnError], None]

    @property
    def chain(self) -> ChainPort: ...

    @property
    def proofs(self) -> ProofPort: ...

    @property
    def commands(self) -> CommandPort: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


MakeServices = Callable[[Desk, Identity, BrokerEndpoint, Settings], Services]


@dataclass(frozen=True, slots=True)
class Ready:
    """Where everything is, once it is. `admin_secret` is text at the very first start, else None."""

    page: str
    devices: str
    broker: str
    admin_secret: str | None


def run(settings: Settings) -> None:
    """Run the hub until SIGTERM or SIGINT. Raises DccnError when it cannot start or go on."""
    try:
        asyncio.run(serve(settings, on_ready=lambda ready: _announce(ready, settings.json, sys.stdout)))
    except OSError as error:
        code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "home_invalid"
        raise Faulty(code, f"writing to {error.filename or settings.home}: {error.strerror}") from error


async def serve(
    settings: Settings,
    *,
    on_ready: Callable[[Ready], None],
    stop: asyncio.Event | None = None,
    make_services: MakeServices | None = None,
) -> None:
    """The whole hub in the running event loop, until `stop` is set or a signal comes."""
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, stop.set)
    with contextlib.ExitStack() as rim:
        rim.enter_context(_locked(settings.home))
        store = open_store(settings.home)
        rim.callback(store.close)
        desk = Desk(store, EventBus(), _now_ms)
        identity = Identity.open(settings.home, settings.fleet, _now_ms)
        ports, sockets = listen(settings)
        for sock in sockets.values():
            rim.callback(sock.close)
        board = Board(_now_ms)
        board.follow(store, desk.bus)
        endpoint = await asyncio.to_thread(_start_broker, rim, settings, ports, desk, identity)
        services = (make_services or _services())(desk, identity, endpoint, settings)
        rim.callback(services.stop)
        failures: list[DccnError] = []

        def halt(error: DccnError) -> None:
            failures.append(error)
            loop.call_soon_threadsafe(stop.set)

        services.on_halt = halt
        await asyncio.to_thread(services.start)
        hub = Hub(
            settings=settings,
            ports=ports,
            desk=desk,
            identity=identity,
            chain=services.chain,
            proofs=services.proofs,
            commands=services.commands,
            board=board,
            attestation=Challenges(settings.vendors_folder, desk.now_ms, identity.entropy),
            broker=(endpoint.public_host, endpoint.port),
        )
        with desk.change() as change:
            change.emit(HubStarted(at_ms=change.at_ms, version=importlib.metadata.version("dccn")))
        # What is loaded now stays: sweeping through it again and again cost ingest a fifth of its speed.
        gc.collect()
        gc.freeze()
        await _serve_http(hub, sockets, stop, lambda: on_ready(_ready(hub)))
        if failures:
            raise failures[0]


async def _serve_http(
    hub: Hub, sockets: dict[str, socket.socket], stop: asyncio.Event, when_up: Callable[[], None]
) -> None:
    """Both HTTP servers, until `stop`."""
    folder = hub.settings.home / IDENTITY_FOLDER
    key, certificate = hub.identity.authority.issue_pair("hub", hub.settings.hosts, _now_ms())
    files.replace(folder / "server.key", key)
    files.replace(folder / "server.pem", certificate + hub.identity.authority.pem)
    page, devices = page_app(hub), device_app(hub)
    servers = [(_server(page, None), sockets["page"]), (_server(devices, folder), sockets["devices"])]
    tasks: list[asyncio.Future[Any]]
    tasks = [asyncio.create_task(server.serve(sockets=[sock])) for server, sock in servers]
    waiting: asyncio.Future[Any] = asyncio.create_task(stop.wait())
    up: asyncio.Future[Any] = asyncio.gather(*(server.up.wait() for server, _ in servers))
    try:
        await asyncio.wait([up, waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        if up.done():
            when_up()
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        page.state.live.closing.set()
        waiting.cancel()
        up.cancel()
        for server, _ in servers:
            server.stop()
        await asyncio.gather(*tasks, return_exceptions=True)


def _server(app: Litestar, tls: Path | None) -> WebServer:
    return WebServer(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=str(tls / "server.pem") if tls else None,
            ssl_keyfile=str(tls / "server.key") if tls else None,
        )
    )


def _start_broker(
    rim: contextlib.ExitStack, settings: Settings, ports: Ports, desk: Desk, identity: Identity
) -> BrokerEndpoint:
    """Our own mosquitto, or the one that was given; and the hub's own certificate for either."""
    folder = settings.home / IDENTITY_FOLDER
    key, certificate = identity.authority.issue_pair(HUB_USER, [], _now_ms())
    files.replace(folder / "hub-client.key", key)
    files.replace(folder / "hub-client.pem", certificate)
    given = {"ca": folder / "ca.pem", "certificate": folder / "hub-client.pem", "key": folder / "hub-client.key"}
    if settings.broker is not None:
        host, port = _host_and_port(settings.broker)
        return BrokerEndpoint(host, port, public_host=host, **given)
    broker = Broker(settings.home / "broker", settings.listen, ports.broker, settings.fleet)

    def started() -> None:
        with desk.change() as change:
            change.emit(BrokerStarted(at_ms=change.at_ms, port=ports.broker))

    def ended(reason: str) -> None:
        with desk.change() as change:
            change.emit(BrokerStopped(at_ms=change.at_ms, reason=reason))

    broker.on_start, broker.on_exit = started, ended
    rim.callback(broker.stop)
    broker.start(identity.authority, settings.hosts, _now_ms())
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.listen, settings.listen)
    return BrokerEndpoint(local, ports.broker, public_host=settings.public_host, **given)


def _services() -> MakeServices:
    from fleet.hub.services import HubServices

    return HubServices


def _ready(hub: Hub) -> Ready:
    broker_host, broker_port = hub.broker
    return Ready(
        page=f"http://127.0.0.1:{hub.ports.page}",
        devices=hub.device_url,
        broker=f"{broker_host}:{broker_port}",
        admin_secret=hub.identity.new_admin_secret,
    )


def _announce(ready: Ready, as_json: bool, out: TextIO) -> None:
    if as_json:
        document = {"event": "ready", "page": ready.page, "devices": ready.devices, "broker": ready.broker}
        if ready.admin_secret is not None:
            document["admin_secret"] = ready.admin_secret
        print(json.dumps(document), file=out, flush=True)
        return
    print(f"The hub's page: {ready.page}\nDevices enrol at: {ready.devices}", file=out)
    if ready.admin_secret is not None:
        print(f"Admin secret, shown this once: {ready.admin_secret}", file=out)
    print("Stop it with Ctrl-C.", file=out, flush=True)


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One hub per home. Raises Faulty(home_invalid)."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(home / "hub.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Faulty("home_invalid", f"opening the data directory {home}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Faulty("home_invalid", f"another hub runs in {home}") from None
        yield
    finally:
        os.close(descriptor)


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.removeprefix("mqtts://").rpartition(":")
    if not host or not port.isdigit():
        raise Malformed("usage", f"the broker is given as host:port, not {text!r}")
    return host.strip("[]"), int(port)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
