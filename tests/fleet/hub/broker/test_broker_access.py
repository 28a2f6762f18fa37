"""A real mosquitto under our configuration: who gets in, who may say and hear what, and how it lives and dies."""

import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from chain.errors import Faulty, Unavailable
from fleet.hub.broker import supervisor
from fleet.hub.broker.supervisor import Broker
from fleet.hub.identity.authority import Authority
from fleet.protocol.topics import COMMAND_POG, LEAVES, MAX_PACKET_BYTES, RECEIPT, WORK

ALICE, BOB = "a1" * 16, "b0" * 16
NOW_MS = int(time.time() * 1000)
PATIENCE_S = 10
TAKEN = ("Success", "No matching subscribers")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def pem(certificate_der):
    return x509.load_der_x509_certificate(certificate_der).public_bytes(Encoding.PEM)


class Fleet:
    """A CA, a broker, and clients with certificates of their own."""

    def __init__(self, home):
        self.home = home
        self.authority = Authority.open(home, "home", NOW_MS)
        self.broker = Broker(home / "broker", "127.0.0.1", free_port(), "home")
        self.clients = []

    def start(self):
        self.broker.start(self.authority, ["127.0.0.1"], NOW_MS)
        return self

    def certificate(self, name, at_ms=NOW_MS):
        if name == "hub":
            key, certificate = self.authority.issue_pair("hub", [], at_ms)
        else:
            private = ec.generate_private_key(ec.SECP256R1())
            csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(private, hashes.SHA256())
            device = bytes.fromhex(name).ljust(32, b".")
            certificate = pem(self.authority.issue_device(csr.public_bytes(Encoding.DER), device, at_ms).certificate)
            key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self.home / f"{name}-{len(self.clients)}.pem"
        path.write_bytes(certificate + key)
        return path

    def client(self, name, client_id=None, certificate=None, clean=True):
        client = Client(client_id or name)
        self.clients.append(client)
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        if certificate is not False:
            context.load_cert_chain(certificate or self.certificate(name))
        client.connect(context, self.broker.port, clean)
        return client

    def stop(self):
        for client in self.clients:
            client.stop()
        self.broker.stop()


class Client(mqtt.Client):
    """A client whose happenings can be awaited."""

    def __init__(self, client_id):
        super().__init__(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        self.inbox, self.acks, self.states = queue.Queue(), queue.Queue(), queue.Queue()
        self.on_connect = lambda c, u, f, reason, p: self.states.put(str(reason))
        self.on_disconnect = lambda c, u, f, reason, p: self.states.put(f"lost: {reason}")
        self.on_message = lambda c, u, message: self.inbox.put((message.topic, message.payload))
        self.on_publish = lambda c, u, mid, reason, p: self.acks.put(str(reason))
        self.on_subscribe = lambda c, u, mid, reasons, p: self.acks.put([str(reason) for reason in reasons])

    def connect(self, context, port, clean):
        self.tls_set_context(context)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        super().connect("127.0.0.1", port, 30, clean_start=clean, properties=properties)
        self.loop_start()
        assert self.states.get(timeout=PATIENCE_S) == "Success"

    def say(self, topic, payload=b"x"):
        self.publish(topic, payload, 1)
        return self.acks.get(timeout=PATIENCE_S)

    def hear(self, topic):
        self.subscribe(topic, 1)
        return self.acks.get(timeout=PATIENCE_S)

    def stop(self):
        self.disconnect()
        self.loop_stop()


@pytest.fixture
def fleet(tmp_path):
    running = Fleet(tmp_path)
    yield running.start()
    running.stop()


def test_a_device_says_its_own_up_leaves_and_the_hub_hears_them(fleet):
    hub, alice = fleet.client("hub"), fleet.client(ALICE)
    hub.hear("dccn/v1/#")
    for leaf in LEAVES:
        if leaf.direction == "up":
            topic = leaf.topic("home", ALICE, **{n: "1" for n in ("index", "level", "code") if f"{{{n}}}" in leaf.name})
            assert alice.say(topic) == "Success"
            assert hub.inbox.get(timeout=PATIENCE_S) == (topic, b"x")


@pytest.mark.parametrize(
    "topic",
    [
        WORK.topic("home", BOB),
        WORK.topic("other", ALICE),
        RECEIPT.topic("home", ALICE),
        COMMAND_POG.topic("home", ALICE),
        COMMAND_POG.topic("home", BOB),
        f"dccn/v1/home/{ALICE}/proof/unheard-of",
        "elsewhere",
    ],
)
def test_a_device_says_nothing_else(fleet, topic):
    hub, alice = fleet.client("hub"), fleet.client(ALICE)
    hub.hear("#")
    assert alice.say(topic) == "Not authorized"
    assert alice.say(WORK.topic("home", ALICE), b"still here") == "Success"
    assert hub.inbox.get(timeout=PATIENCE_S) == (WORK.topic("home", ALICE), b"still here"), "and nothing before it"


def test_a_device_hears_only_what_is_for_it(fleet):
    hub, alice = fleet.client("hub"), fleet.client(ALICE)
    for topic in ("#", "dccn/v1/#", RECEIPT.filter()):
        alice.hear(topic)
    assert hub.say(RECEIPT.topic("home", BOB)) and hub.say(WORK.topic("home", BOB))
    hub.say(RECEIPT.topic("home", ALICE), b"mine")
    assert alice.inbox.get(timeout=PATIENCE_S) == (RECEIPT.topic("home", ALICE), b"mine")


def test_nobody_takes_over_another_devices_session(fleet):
    hub, alice = fleet.client("hub"), fleet.client(ALICE)
    alice.hear(RECEIPT.topic("home", ALICE))
    thief = fleet.client(BOB, client_id=ALICE)
    hub.say(RECEIPT.topic("home", ALICE), b"mine")
    assert alice.inbox.get(timeout=PATIENCE_S)[1] == b"mine"
    assert alice.is_connected() and thief.inbox.empty()


def refused(fleet, **how):
    with pytest.raises((ssl.SSLError, OSError, queue.Empty, AssertionError)):
        fleet.client(ALICE, **how)


def test_without_a_certificate_of_this_ca_nobody_gets_in(fleet, tmp_path):
    refused(fleet, certificate=False)
    other = tmp_path / "other"
    other.mkdir()
    refused(fleet, certificate=Fleet(other).certificate(ALICE))


def test_an_expired_certificate_is_refused_and_others_are_unaffected(fleet):
    bob = fleet.client(BOB)
    refused(fleet, certificate=fleet.certificate(ALICE, at_ms=NOW_MS - 2 * 24 * 3600 * 1000))
    assert bob.say(WORK.topic("home", BOB)) in TAKEN


def test_an_oversized_packet_costs_its_sender_the_connection_and_nobody_else(fleet):
    alice, bob = fleet.client(ALICE), fleet.client(BOB)
    alice.publish(WORK.topic("home", ALICE), b"x" * (MAX_PACKET_BYTES + 1), 0)
    assert alice.states.get(timeout=PATIENCE_S).startswith("lost")
    assert bob.say(WORK.topic("home", BOB)) in TAKEN


def test_what_waits_for_the_hub_survives_the_brokers_clean_restart(fleet):
    hub = fleet.client("hub", clean=False)
    hub.hear("dccn/v1/+/+/proof/#")
    hub.stop()
    assert fleet.client(ALICE).say(WORK.topic("home", ALICE), b"kept") == "Success"
    started = threading.Event()
    fleet.broker.on_start = started.set
    os.kill(fleet.broker.pid, signal.SIGTERM)
    assert started.wait(PATIENCE_S)
    again = fleet.client("hub", clean=False)
    assert again.inbox.get(timeout=PATIENCE_S) == (WORK.topic("home", ALICE), b"kept")


def test_a_killed_broker_comes_back_on_its_port(fleet):
    started, reasons = threading.Event(), []
    fleet.broker.on_start, fleet.broker.on_exit = started.set, reasons.append
    before = fleet.broker.pid
    os.kill(before, signal.SIGKILL)
    assert started.wait(PATIENCE_S) and reasons == ["exit status -9"]
    assert fleet.broker.pid not in (None, before)
    fleet.client(ALICE)


def test_a_stopped_broker_stays_stopped(fleet):
    process = psutil.Process(fleet.broker.pid)
    fleet.broker.stop()
    assert fleet.broker.pid is None and not process.is_running()


def test_an_occupied_port_is_told_in_one_sentence(tmp_path):
    fleet = Fleet(tmp_path)
    with socket.create_server(("127.0.0.1", fleet.broker.port)), pytest.raises(Faulty) as error:
        fleet.start()
    assert error.value.code == "port_occupied" and str(fleet.broker.port) in error.value.message


def test_a_missing_mosquitto_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(supervisor, "_SYSTEM_FOLDERS", ())
    with pytest.raises(Unavailable) as error:
        Fleet(tmp_path).start()
    assert error.value.code == "engine_missing" and error.value.exit_code == 3


@pytest.fixture
def open_home():
    """A home that other accounts can reach, unlike pytest's own folders."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_the_broker_gives_up_roots_rights_where_it_can_reach_its_files(open_home):
    fleet = Fleet(open_home).start()
    owner = psutil.Process(fleet.broker.pid).username()
    assert owner == ("mosquitto" if os.geteuid() == 0 else psutil.Process().username())
    fleet.client(ALICE)
    fleet.stop()


HUB = """
import pathlib, sys, time
from fleet.hub.broker.supervisor import Broker
from fleet.hub.identity.authority import Authority
home, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
now_ms = int(time.time() * 1000)
broker = Broker(home / "broker", "127.0.0.1", port, "home")
broker.start(Authority.open(home, "home", now_ms), ["127.0.0.1"], now_ms)
print(broker.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("public", [True, False], ids=["gives up root", "keeps its account"])
def test_a_killed_hub_leaves_no_broker_behind(tmp_path, open_home, public):
    home = open_home if public else tmp_path
    command = [sys.executable, "-c", HUB, str(home), str(free_port())]
    hub = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    broker = psutil.Process(int(hub.stdout.readline()))
    hub.kill()
    hub.communicate()
    broker.wait(PATIENCE_S)
    assert not broker.is_running()
