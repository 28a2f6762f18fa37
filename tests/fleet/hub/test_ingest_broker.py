"""Ingest behind a real mosquitto with real clients: accepted once, received after the commit, whoever dies."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Event

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion

from chain.crypto.address import device_id
from chain.crypto.keys import PrivateKey
from chain.proofs.delegation import Delegation, sign_delegation
from chain.proofs.receipts import Receipt, open_receipt
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import open_record, sign_record
from fleet.hub.actions.bus import EventBus
from fleet.hub.actions.desk import Desk
from fleet.hub.broker.supervisor import Broker
from fleet.hub.identity.authority import HUB_USER, Authority
from fleet.hub.ingest.link import BrokerLink, LinkSettings
from fleet.hub.ingest.service import Ingest, IngestSettings
from fleet.hub.ingest.verify import Rules
from fleet.hub.store import Store, open_store
from fleet.protocol.messages import State, encode
from fleet.protocol.topics import DELEGATION, RECEIPT, STATE, WORK, topic_id

CHAIN = "broker-1"
WAIT_S = 20.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class NoProofs:
    def committed(self, commitments: object) -> None: ...

    def opened(self, openings: object) -> None: ...


@dataclass
class World:
    """A home with CA, database and broker; hubs and devices come and go."""

    home: Path
    authority: Authority
    store: Store
    broker: Broker
    command: PrivateKey = field(default_factory=lambda: PrivateKey.generate("ed25519"))

    def files(self, name: str, key: bytes, certificate: bytes) -> dict[str, Path]:
        paths = {part: self.home / f"{name}.{part}" for part in ("ca", "key", "certificate")}
        for part, content in (("ca", self.authority.pem), ("key", key), ("certificate", certificate)):
            paths[part].write_bytes(content)
        return paths

    def hub(self) -> tuple[Ingest, BrokerLink]:
        """A hub that is connected and subscribed."""
        files = self.files("hub", *self.authority.issue_pair(HUB_USER, [], now_ms()))
        ingest_settings = IngestSettings(rules=Rules(CHAIN), command_key=self.command, epoch_at=lambda ms: ms // 60_000)
        ingest = Ingest(ingest_settings, Desk(self.store, EventBus(), now_ms), NoProofs())
        link = BrokerLink(LinkSettings(host="127.0.0.1", port=self.broker.port, **files), ingest.deliver, now_ms)
        ingest.start(link)
        link.start()
        assert link.connected.wait(WAIT_S)
        return ingest, link

    def stored(self) -> list[int]:
        connection = self.store.connect()
        rows = connection.execute("SELECT seq FROM records ORDER BY seq").fetchall()
        connection.close()
        return [seq for (seq,) in rows]


class Miner:
    """A device with an enrolled identity and a certificate, speaking through paho."""

    def __init__(self, world: World) -> None:
        self.identity, self.record_key = PrivateKey.generate("ed25519"), PrivateKey.generate("ed25519")
        self.records = RecordChain(device_id(self.identity.public), os.urandom(16))
        self.topic = topic_id(self.records.device)
        self.receipts: Queue[Receipt] = Queue()
        self.subscribed = Event()
        self._world = world
        key = ec.generate_private_key(ec.SECP256R1())
        csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        issued = world.authority.issue_device(
            csr.public_bytes(serialization.Encoding.DER), self.records.device, now_ms()
        )
        pem = x509.load_der_x509_certificate(issued.certificate).public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._files = world.files(self.topic, secret, pem)
        connection = world.store.connect()
        connection.execute(
            "INSERT INTO devices (device, topic_id, fleet, identity_key, enrolled_ms, enrolled_by, owner,"
            " registered_height) VALUES (?,?,'home',?,0,'token',?,1)",
            (self.records.device, self.topic, self.identity.public.encoded(), b"o" * 20),
        )
        connection.execute(
            "INSERT INTO certificates VALUES (?,?,0,?,'enrol')",
            (issued.serial, self.records.device, issued.not_after_ms),
        )
        connection.execute(
            "INSERT INTO record_chains VALUES (?,?,0,?,0)", (self.records.device, self.records.chain, bytes(32))
        )
        connection.close()
        self.client = self._connect()

    def _connect(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self.topic, protocol=mqtt.MQTTv5)
        context = ssl.create_default_context(cafile=str(self._files["ca"]))
        context.load_cert_chain(self._files["certificate"], self._files["key"])
        client.tls_set_context(context)
        client.on_connect = lambda c, *_: c.subscribe(RECEIPT.topic("home", self.topic), 1)
        client.on_subscribe = lambda *_: self.subscribed.set()
        client.on_message = lambda _c, _d, message: self.receipts.put(
            open_receipt(message.payload, self._world.command.public, CHAIN)
        )
        client.connect("127.0.0.1", self._world.broker.port, clean_start=False)
        client.loop_start()
        assert self.subscribed.wait(WAIT_S)
        return client

    def delegate(self) -> None:
        body = Delegation(
            self.records.device, self.record_key.public.x, b"b" * 16, now_ms() - 60_000, now_ms() + 86_400_000
        )
        payload = sign_delegation(body, self.identity, CHAIN)
        self.client.publish(DELEGATION.topic("home", self.topic), payload, 1).wait_for_publish(WAIT_S)

    def work(self, count: int) -> list[bytes]:
        """Sign and publish the next records; returns when the broker has them."""
        payloads = []
        for _ in range(count):
            record = self.records.draft(boot=b"b" * 16, from_ms=now_ms() - 1, to_ms=now_ms(), host={"uptime_ms": 1})
            payloads.append(sign_record(record, self.record_key, CHAIN))
            opened = open_record(payloads[-1])
            self.records.advance(opened.record, opened.hash)
        self.send(payloads)
        return payloads

    def send(self, payloads: list[bytes]) -> None:
        sent = [self.client.publish(WORK.topic("home", self.topic), payload, 1) for payload in payloads]
        for one in sent:
            one.wait_for_publish(WAIT_S)

    def receipt_up_to(self, seq: int) -> Receipt:
        deadline = time.monotonic() + WAIT_S
        while True:
            receipt = self.receipts.get(timeout=max(0.1, deadline - time.monotonic()))
            if receipt.upto_seq == seq:
                return receipt

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    authority = Authority.open(tmp_path, "home", now_ms())
    broker = Broker(tmp_path / "broker", "127.0.0.1", port, "home")
    broker.start(authority, ["127.0.0.1"], now_ms())
    world = World(tmp_path, authority, open_store(tmp_path), broker)
    yield world
    broker.stop()
    world.store.close()


@pytest.fixture
def miner(world: World) -> Iterator[Miner]:
    miner = Miner(world)
    yield miner
    miner.close()


@pytest.fixture
def start_hub(world: World) -> Iterator[Callable[[], tuple[Ingest, BrokerLink]]]:
    running: list[tuple[Ingest, BrokerLink]] = []

    def start() -> tuple[Ingest, BrokerLink]:
        running.append(world.hub())
        return running[-1]

    yield start
    for ingest, link in running:
        link.stop()
        ingest.stop()


StartHub = Callable[[], tuple[Ingest, BrokerLink]]


def test_records_are_stored_and_then_received(world: World, miner: Miner, start_hub: StartHub) -> None:
    start_hub()
    miner.delegate()
    miner.work(40)
    receipt = miner.receipt_up_to(39)
    assert receipt.head_hash == miner.records.head and receipt.missing == ()
    assert world.stored() == list(range(40))


def test_what_came_while_the_hub_was_away_is_not_lost(world: World, miner: Miner, start_hub: StartHub) -> None:
    ingest, link = start_hub()
    miner.delegate()
    miner.work(5)
    miner.receipt_up_to(4)
    link.stop()
    ingest.stop()
    miner.work(20)
    start_hub()
    miner.receipt_up_to(24)
    assert world.stored() == list(range(25))


def test_a_message_that_was_not_committed_comes_again(world: World, miner: Miner, start_hub: StartHub) -> None:
    ingest, link = start_hub()
    miner.delegate()
    miner.work(1)
    miner.receipt_up_to(0)
    blocker = world.store.connect()
    blocker.execute("BEGIN IMMEDIATE")
    miner.work(3)
    link.stop()
    blocker.execute("ROLLBACK")
    blocker.close()
    ingest.stop()
    start_hub()
    miner.receipt_up_to(3)
    assert world.stored() == list(range(4))


def test_a_killed_broker_loses_no_acknowledged_record(world: World, miner: Miner, start_hub: StartHub) -> None:
    start_hub()
    miner.delegate()
    first = miner.work(3)
    miner.receipt_up_to(2)
    pid = world.broker.pid
    assert pid is not None
    miner.subscribed.clear()
    os.kill(pid, signal.SIGKILL)
    assert miner.subscribed.wait(WAIT_S)
    miner.delegate()
    miner.send(first)
    miner.work(3)
    miner.receipt_up_to(5)
    assert world.stored() == list(range(6))


def test_a_device_that_vanishes_is_shown_offline(world: World, miner: Miner, start_hub: StartHub) -> None:
    start_hub()
    connection = world.store.connect()
    for online in (True, False):
        state = State(online=online, reason=None if online else "shutdown")
        miner.client.publish(STATE.topic("home", miner.topic), encode(state), 1, retain=True).wait_for_publish(WAIT_S)
        deadline = time.monotonic() + WAIT_S
        while connection.execute("SELECT online FROM devices").fetchone() != (online,):
            assert time.monotonic() < deadline
            Event().wait(0.02)
    connection.close()
