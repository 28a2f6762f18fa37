"""A real hub with real ingest behind a broker link in memory, and Debian's Chromium before its page.

Everything shares one event loop per module, so a test acts on the hub and awaits what the browser then shows.
"""

import asyncio
import os
import socket
import time

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from playwright.async_api import async_playwright

from chain.crypto import address
from chain.crypto.keys import PrivateKey
from chain.proofs.delegation import Delegation, sign_delegation
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import open_record, sign_record
from fleet.hub.actions.devices import do_note_registered, do_note_reported, do_note_state, note_telemetry
from fleet.hub.actions.enrolment import do_create_token, do_enrol
from fleet.hub.actions.events import PogChecked, RewardsPaid
from fleet.hub.ingest.messages import Message
from fleet.hub.ingest.service import Ingest, IngestSettings
from fleet.hub.ingest.verify import Rules
from fleet.hub.ports import ChainTrust, ChainView
from fleet.hub.server import serve
from fleet.hub.settings import Settings
from fleet.protocol.enrolment import EnrolRequest
from fleet.protocol.messages import Gpu, GpuTelemetry, Hardware, Reported, State, SystemTelemetry
from fleet.protocol.topics import DELEGATION, WORK
from tools.browser import CHROMIUM, FLAGS

CHAIN_ID = "dccn-test"
GIB = 1 << 30


def now_ms():
    return time.time_ns() // 1_000_000


class Services:
    """Ingest as it is; the broker's link and the chain are in the test's hand."""

    def __init__(self, desk, identity, endpoint, settings):
        self.desk, self.identity, self.chain, self.proofs, self.commands = desk, identity, self, self, self
        rules = IngestSettings(rules=Rules(CHAIN_ID), command_key=identity.keys.command, epoch_at=lambda ms: 3)
        self.ingest = Ingest(rules, desk, self)
        self.shown = ChainView(
            chain_id=CHAIN_ID, height=4711, block_time_ms=now_ms(), reward_epoch=12, supply="10000000000", validators=4
        )

    def start(self):
        self.ingest.start(self)

    def stop(self):
        self.ingest.stop()

    def acknowledge(self, messages):
        pass

    def publish(self, leaf, fleet, topic_id, payload):
        return True

    def committed(self, commitments):
        pass

    def opened(self, openings):
        pass

    def inclusion(self, device, chain, seq):
        return None

    def view(self):
        return self.shown

    def trust(self):
        return ChainTrust(CHAIN_ID, b"g" * 32, 7, b"t" * 32, ("http://127.0.0.1:26657",), 5 * 10**18)


class RunningHub:
    """The hub's program in this event loop; it can go away and come back on the same ports."""

    def __init__(self, home):
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            ports = {"page_port": one.getsockname()[1], "device_port": other.getsockname()[1]}
        self.settings = Settings(home=home, broker="127.0.0.1:1", record_interval_ms=1000, **ports)
        self.secret = None

    async def start(self):
        self._stop = asyncio.Event()
        ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(
            serve(self.settings, on_ready=ready.set_result, stop=self._stop, make_services=self._make)
        )
        await asyncio.wait([self._task, ready], timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()
        self.url, self.device_url = ready.result().page, ready.result().devices
        self.secret = ready.result().admin_secret or self.secret
        return self

    async def stop(self):
        self._stop.set()
        async with asyncio.timeout(20):
            await self._task

    @property
    def desk(self):
        return self.services.desk

    def publish(self, event, **fields):
        self.desk.bus.publish(event(at_ms=now_ms(), **fields))

    def pay(self, reward_epoch, **rewards):
        self.publish(RewardsPaid, reward_epoch=reward_epoch, height=50, rewards=rewards)

    def _make(self, *arguments):
        self.services = Services(*arguments)
        return self.services


class Machine:
    """An enrolled device: what it tells, and the records that it signs."""

    def __init__(self, hub, seed=1):
        self.hub = hub
        self.identity, self.record_key = (PrivateKey.from_secret("ed25519", seed.to_bytes(32, "big")) for _ in "ab")
        self.device = address.device_id(self.identity.public)
        self.records = RecordChain(self.device, os.urandom(16))
        self.topic = self.device.hex()[:32]
        csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        signed = csr.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)
        token, _ = do_create_token(hub.desk, hub.services.identity)
        request = EnrolRequest(self.identity.public, token.secret, None, self.records.chain, signed, b"n" * 16)
        do_enrol(hub.desk, hub.services.identity, request)
        self.owner = address.encode(self.device[:20])

    def appear(self, hostname="rack-1", gpus=0, load=37.0):
        """It is online, says what it is, and is registered on the chain."""
        desk = self.hub.desk
        do_note_registered(desk, self.device, self.device[:20], self.owner, 9)
        do_note_state(desk, self.topic, State(online=True))
        hardware = Hardware(
            hostname=hostname, cpu_model="AMD EPYC 9554P 64-Core Processor", cpu_threads=128, memory_bytes=377 * GIB
        )
        named = [
            Gpu(index=i, uuid=f"GPU-{i}a2b{i}c3d", name="NVIDIA GeForce RTX 4090", memory_bytes=24 * GIB)
            for i in range(gpus)
        ]
        do_note_reported(desk, self.topic, Reported(version=0, hardware=hardware, gpus=named))
        sample = SystemTelemetry(
            at_ms=now_ms(), cpu_pct=load, memory_used_bytes=121 * GIB, memory_total_bytes=377 * GIB,
            disk_used_bytes=800 * GIB, disk_total_bytes=1800 * GIB, temp_c=58.0,
        )  # fmt: skip
        note_telemetry(desk, self.topic, sample, None)
        for gpu in named:
            note_telemetry(desk, self.topic, self.gauges(gpu), gpu.index)
        return self

    def gauges(self, gpu):
        i = gpu.index
        return GpuTelemetry(
            at_ms=now_ms(), uuid=gpu.uuid, util_pct=100.0 - 17 * i, memory_used_bytes=(23 - 4 * i) * GIB,
            memory_total_bytes=24 * GIB, temp_c=71.0 - i, power_w=412.0 - 31 * i, fan_pct=64.0 - 3 * i,
        )  # fmt: skip

    def delegate(self):
        now = now_ms()
        body = Delegation(self.device, self.record_key.public.x, b"b" * 16, now - 60_000, now + 86_400_000)
        self.say(DELEGATION, sign_delegation(body, self.identity, CHAIN_ID))

    def work(self, count=1):
        """Sign and send the next records; returns them."""
        if not self.records.next_seq:
            self.delegate()
        sent = []
        for _ in range(count):
            now = now_ms()
            record = self.records.draft(boot=b"b" * 16, from_ms=now - 1, to_ms=now, host={"uptime_ms": 1})
            sent.append(sign_record(record, self.record_key, CHAIN_ID))
            opened = open_record(sent[-1])
            self.records.advance(opened.record, opened.hash)
            self.say(WORK, sent[-1])
        return sent

    def say(self, leaf, payload):
        assert self.hub.services.ingest.deliver(Message(leaf.topic("home", self.topic), payload, now_ms()))

    def prove(self, height, gpu="cpu", rate=83 * 10**9, code=None):
        self.hub.publish(
            PogChecked,
            device=self.topic, gpu=gpu, challenge_height=height, ok=code is None, code=code,
            operations_per_s=rate if code is None else None,
        )  # fmt: skip


class Screen:
    """A browser window on the hub's page, and everything that went wrong in it."""

    def __init__(self, page, hub):
        self.page, self.hub = page, hub
        self.console, self.hosts = [], set()
        page.on("console", lambda message: self.console.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    async def open(self):
        await self.page.goto(self.hub.url, wait_until="domcontentloaded")
        await self.page.wait_for_selector('#link[data-state="live"]')
        return self.page

    def forgive(self, text):
        """The browser itself logs every answer that is not 2xx: these the test has asked for."""
        assert any(text in line for line in self.console), self.console
        self.console = [line for line in self.console if text not in line]

    def check(self):
        assert self.console == [], "the console stays empty"
        assert self.hosts <= {self.hub.url.removeprefix("http://")}, "nothing is asked of other hosts"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser():
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def hub(tmp_path):
    hub = await RunningHub(tmp_path).start()
    yield hub
    await hub.stop()


@pytest.fixture
def window():
    """How the browser's window is: a test or module overrides what it wants otherwise."""
    return {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", "reduced_motion": "reduce"}


@pytest_asyncio.fixture(loop_scope="module")
async def screen(browser, hub, window):
    context = await browser.new_context(**window)
    context.set_default_timeout(10_000)
    screen = Screen(await context.new_page(), hub)
    yield screen
    await context.close()
    screen.check()


@pytest.fixture
def machine(hub):
    """Makes machines that are members of the hub's fleet."""
    return lambda seed=1, **told: Machine(hub, seed).appear(**told)
