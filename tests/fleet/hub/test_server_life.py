"""The hub as a program: starts in order, answers over pinned TLS, ends cleanly, and says why it cannot start."""

import asyncio
import json
import os
import signal
import socket
import ssl
import urllib.request

import psutil
import pytest

from chain.errors import DccnError, Faulty, Malformed, Unavailable
from fleet.hub.ports import ChainView
from fleet.hub.server import serve
from fleet.hub.settings import Settings


class Services:
    """No chain, no ingest: this is about what stands around them."""

    def __init__(self, desk, identity, endpoint, settings):
        self.chain = self.proofs = self.commands = self
        self.log = []

    def start(self):
        self.log.append("start")

    def stop(self):
        self.log.append("stop")

    def trust(self):
        raise Unavailable("unreachable", "no chain in this test")

    def view(self):
        return ChainView(problem="no chain in this test")

    def inclusion(self, device, chain, seq):
        return None


class Running:
    """A hub in this event loop."""

    def __init__(self, home, **settings):
        self.settings = Settings(home=home, **settings)
        self.stopping = asyncio.Event()
        self.made = []
        self._ready = asyncio.get_running_loop().create_future()

    async def __aenter__(self):
        self.task = asyncio.create_task(
            serve(self.settings, on_ready=self._ready.set_result, stop=self.stopping, make_services=self._make)
        )
        await asyncio.wait([self.task, self._ready], timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            self.task.result()
        self.ready = self._ready.result()
        return self

    async def __aexit__(self, *_):
        self.stopping.set()
        async with asyncio.timeout(20):
            await self.task

    def _make(self, *arguments):
        self.made.append(Services(*arguments))
        return self.made[-1]


def fetch(url, context=None):
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        return json.load(answer)


async def test_it_serves_the_page_on_loopback_and_devices_over_its_own_ca(tmp_path):
    async with Running(tmp_path, listen="127.0.0.1") as hub:
        assert (await asyncio.to_thread(fetch, f"{hub.ready.page}/health"))["ok"] is True
        context = ssl.create_default_context(cafile=str(tmp_path / "identity" / "ca.pem"))
        document = await asyncio.to_thread(fetch, f"{hub.ready.devices}/v1/nonce", context)
        assert len(bytes.fromhex(document["nonce"])) == 16
        overview = await asyncio.to_thread(fetch, f"{hub.ready.page}/api/overview")
        assert [event["kind"] for event in overview["events"]] == ["hub-started", "broker-started"]
    assert hub.made[0].log == ["start", "stop"]


async def test_the_handshake_shows_the_ca_so_that_a_token_can_pin_it(tmp_path):
    from appliance.agent.tls import fetch_ca
    from fleet.hub.identity.authority import Authority
    from fleet.protocol.enrolment import ca_pin

    async with Running(tmp_path) as hub:
        host, port = hub.ready.devices.removeprefix("https://").split(":")
        authority = Authority.open(tmp_path, "home", 0)
        shown = await asyncio.to_thread(fetch_ca, host, int(port), ca_pin(authority.spki), 5.0)
        assert shown.encode() == authority.pem


async def test_the_admin_secret_is_told_once_and_ports_are_kept(tmp_path):
    async with Running(tmp_path) as first:
        assert first.ready.admin_secret
    async with Running(tmp_path) as second:
        assert second.ready.admin_secret is None
        assert second.ready.devices == first.ready.devices and second.ready.broker == first.ready.broker


async def test_an_open_page_does_not_hold_the_hub_back(tmp_path):
    async with Running(tmp_path) as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.ready.page.rpartition(":")[2]))
        writer.write(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(10):
            await reader.readuntil(b"event: part")
    writer.close()


async def test_no_process_is_left_after_the_end(tmp_path):
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    async with Running(tmp_path):
        assert {child.name() for child in psutil.Process().children() if child.pid not in before} == {"mosquitto"}
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


async def start_fails(home, **settings):
    with pytest.raises(DccnError) as error:
        async with Running(home, **settings):
            pass
    return error.value


async def test_one_hub_per_home(tmp_path):
    async with Running(tmp_path):
        error = await start_fails(tmp_path)
    assert isinstance(error, Faulty) and error.code == "home_invalid" and str(tmp_path) in error.message


@pytest.mark.parametrize("name", ["page_port", "device_port", "broker_port"])
async def test_an_occupied_port_is_named(tmp_path, name):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = await start_fails(tmp_path, **{name: port})
    assert error.code == "port_occupied" and str(port) in error.message


async def test_an_address_that_is_not_ours_is_a_usage_error(tmp_path):
    error = await start_fails(tmp_path, listen="192.0.2.1")
    assert isinstance(error, Malformed) and error.exit_code == 2


async def test_a_home_that_cannot_be_is_told_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    assert (await start_fails(tmp_path / "file" / "home")).code == "home_invalid"


async def test_a_given_broker_is_used_and_none_is_started(tmp_path):
    async with Running(tmp_path, broker="mqtt.example:8883") as hub:
        assert hub.ready.broker == "mqtt.example:8883"
        assert {entry.name for entry in os.scandir(tmp_path)} >= {"hub.sqlite"} and not (tmp_path / "broker").is_dir()
    assert (await start_fails(tmp_path, broker="mqtt.example")).exit_code == 2


async def test_it_ends_on_sigterm(tmp_path):
    hub = await Running(tmp_path).__aenter__()
    signal.raise_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        await hub.task
    assert hub.made[0].log == ["start", "stop"]
