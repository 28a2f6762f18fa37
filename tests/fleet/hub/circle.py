"""A real node, a real broker, a hub on both, and a device that works for it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import paho.mqtt.client as mqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion

from chain.crypto import vrf
from chain.crypto.address import address, device_id
from chain.crypto.keys import PrivateKey
from chain.ledger.genesis import build_demo_app_state
from chain.ledger.parameters import Parameters
from chain.light.client import LightClient
from chain.light.inclusion import verified_beacon
from chain.light.rpc import RpcClient
from chain.node import home as node_home
from chain.node.keys import OperatorKeys
from chain.proofs.commands import CommandGate
from chain.proofs.delegation import Delegation, sign_delegation
from chain.proofs.key_ids import record_key_id
from chain.proofs.pog.cpu import CpuBackend
from chain.proofs.pog.format import COMMITMENT_TAG, OPENING_TAG
from chain.proofs.pog.profiles import PROFILES
from chain.proofs.pog.prove import Computation, compute
from chain.proofs.receipts import open_receipt
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import open_record, sign_record
from chain.wire import cbor, cose, transactions
from chain.wire.bodies import device_register, device_register_bytes
from chain.wire.state import required_fee
from fleet.hub.actions.bus import EventBus
from fleet.hub.actions.desk import Desk
from fleet.hub.broker.endpoint import BrokerEndpoint
from fleet.hub.broker.supervisor import Broker
from fleet.hub.identity.authority import HUB_USER
from fleet.hub.identity.membership import Identity
from fleet.hub.services import HubServices
from fleet.hub.settings import Settings
from fleet.hub.store import open_store
from fleet.protocol.messages import State, encode
from fleet.protocol.topics import (
    COMMAND_POG,
    COMMAND_POG_OPEN,
    DELEGATION,
    POG_COMMIT,
    POG_OPEN,
    RECEIPT,
    STATE,
    WORK,
    Leaf,
    topic_id,
)

WAIT_S = 60.0
BOOT = b"b" * 16
SWIFT = Parameters(
    block_interval_ms=200, empty_block_interval_ms=200, reward_epoch_s=2, election_epoch_s=300,
    challenge_window_epochs=1, record_interval_ms=500, pog_period_epochs=1, pog_window_s=2,
)  # fmt: skip


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_S} s for {what}"
        Event().wait(0.05)


PEM_DER = (serialization.Encoding.PEM, serialization.Encoding.DER)

Grants = tuple[tuple[bytes, int], ...]


@contextlib.contextmanager
def node_of(home: Path, hub: bytes, parameters: Parameters, grants: Grants = ()) -> Iterator[str]:
    """The address of a node of its own process, with a chain that funds this hub."""
    operators = [OperatorKeys.generate(f"seed-{number}") for number in range(4)]
    founders = [(o.name, o.account.public, o.consensus.public.x, vrf.public_key(o.vrf_secret)) for o in operators]
    app_state = build_demo_app_state(hub, founders, parameters, grants)
    node_home.init(home, chain_id="hub-test", genesis_time_ns=time.time_ns(), app_state=app_state, operators=operators)
    program = "import sys; from pathlib import Path; from chain.node.server import run;"
    program += "run(Path(sys.argv[1]), json_output=True, port=0)"
    with subprocess.Popen([sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the node did not start"
        try:
            yield json.loads(line)["rpc"]
        finally:
            process.kill()


@contextlib.contextmanager
def broker_of(home: Path, identity: Identity) -> Iterator[BrokerEndpoint]:
    """A broker, with the files that the hub in this home needs for it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    broker = Broker(home / "broker", "127.0.0.1", port, "home")
    broker.start(identity.authority, ["127.0.0.1"], now_ms())
    key, certificate = identity.authority.issue_pair(HUB_USER, [], now_ms())
    files = write_files(home, HUB_USER, identity, key, certificate)
    try:
        yield BrokerEndpoint("127.0.0.1", port, public_host="127.0.0.1", **files)
    finally:
        broker.stop()


@contextlib.contextmanager
def hub_of(home: Path, endpoint: BrokerEndpoint, node: str) -> Iterator[HubServices]:
    """The hub whose home this is; its identity must be there."""
    store = open_store(home)
    settings = Settings(home=home, rpc=(node,), record_interval_ms=SWIFT.record_interval_ms, pog_profile="test")
    desk, identity = Desk(store, EventBus(), now_ms), Identity.open(home, "home", now_ms)
    services = HubServices(desk, identity, endpoint, settings)
    services.start()
    try:
        yield services
    finally:
        services.stop()
        store.close()


def run_hub(home: Path, port: int, node: str) -> None:
    """A hub in a process of its own, for a test that kills it."""
    files = {part: home / f"{HUB_USER}.{part}" for part in ("ca", "key", "certificate")}
    with hub_of(home, BrokerEndpoint("127.0.0.1", port, public_host="127.0.0.1", **files), node):
        Event().wait(WAIT_S)


def write_files(home: Path, name: str, identity: Identity, key: bytes, certificate: bytes) -> dict[str, Path]:
    paths = {part: home / f"{name}.{part}" for part in ("ca", "key", "certificate")}
    for part, content in (("ca", identity.authority.pem), ("key", key), ("certificate", certificate)):
        paths[part].write_bytes(content)
    return paths


class Miner:
    """A device that records, answers challenges, and believes only what the chain proves."""

    def __init__(self, home: Path, identity: Identity, services: HubServices) -> None:
        self.key, self.record_key, self.owner = (PrivateKey.generate("ed25519") for _ in range(3))
        self.device, self.chain = device_id(self.key.public), os.urandom(16)
        self.records = RecordChain(self.device, self.chain)
        self.topic = topic_id(self.device)
        self.raw: list[bytes] = []
        self.received = -1
        self.seq_wanted = Event()
        self._services, self._identity = services, identity
        until(self._is_known, "the chain")
        trust = services.chain.trust()
        self.chain_id = trust.chain_id
        self.light = self._light()
        self._computations: dict[int, Computation] = {}
        self._jobs = ThreadPoolExecutor(1)
        self._enrol(home)

    def _is_known(self) -> bool:
        return self._services.chain.view().height is not None

    def _light(self) -> LightClient:
        trust = self._services.chain.trust()
        return LightClient(RpcClient(trust.rpc[0]), trust.chain_id, trust.trusted_height, trust.trusted_hash)

    def _enrol(self, home: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        issued = self._identity.authority.issue_device(csr.public_bytes(PEM_DER[1]), self.device, now_ms())
        pem = x509.load_der_x509_certificate(issued.certificate).public_bytes(PEM_DER[0])
        secret = key.private_bytes(PEM_DER[0], serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._files = write_files(home, self.topic, self._identity, secret, pem)
        with contextlib.closing(self._services._desk.store.connect()) as connection:
            connection.execute(
                "INSERT INTO devices (device, topic_id, fleet, identity_key, enrolled_ms, enrolled_by)"
                " VALUES (?,?,'home',?,0,'token')",
                (self.device, self.topic, self.key.public.encoded()),
            )
            expiry = (issued.serial, self.device, issued.not_after_ms)
            connection.execute("INSERT INTO certificates VALUES (?,?,0,?,'enrol')", expiry)
            connection.execute("INSERT INTO record_chains VALUES (?,?,0,?,0)", (self.device, self.chain, bytes(32)))

    def register(self) -> None:
        """The owner signs, the device agrees, the hub pays."""
        owner = address(self.owner.public)
        agreed = self.key.sign(device_register_bytes(self.chain_id, owner, self.key.public))
        transaction = transactions.sign(
            self.owner,
            self.chain_id,
            device_register(self.key.public, agreed),
            nonce=0,
            fee=required_fee(600, SWIFT.by_name),
            fee_payer=self._identity.keys.account.public,
        )
        self._services.chain.sponsor(transaction.encode())

    def connect(self, port: int) -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self.topic, protocol=mqtt.MQTTv5)
        context = ssl.create_default_context(cafile=str(self._files["ca"]))
        context.load_cert_chain(self._files["certificate"], self._files["key"])
        client.tls_set_context(context)
        subscribed = Event()
        leaves = (RECEIPT, COMMAND_POG, COMMAND_POG_OPEN)
        client.on_connect = lambda c, *_: c.subscribe([(leaf.topic("home", self.topic), 1) for leaf in leaves])
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = self._on_message
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert subscribed.wait(WAIT_S)
        self.client = client
        self.publish(STATE, encode(State(online=True)))
        span = (now_ms() - 60_000, now_ms() + 86_400_000)
        body = Delegation(self.device, self.record_key.public.x, BOOT, *span)
        self.publish(DELEGATION, sign_delegation(body, self.key, self.chain_id))

    def publish(self, leaf: Leaf, payload: bytes) -> None:
        self.client.publish(leaf.topic("home", self.topic), payload, leaf.qos, leaf.retain)

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith(RECEIPT.name):
            receipt = open_receipt(message.payload, self._identity.keys.command.public, self.chain_id)
            self.received = -1 if receipt.upto_seq is None else receipt.upto_seq
        else:
            self._jobs.submit(self._obey, message.payload)

    def _obey(self, payload: bytes) -> None:
        public = self._identity.keys.command.public
        gate = CommandGate("home", self.device, public, now_ms() + 1_000, self.chain_id)
        command = gate.open(payload, now_ms=now_ms(), last_version=0)
        if command.kind == "pog":
            height, profile, _ = command.body
            beacon = verified_beacon(self.light, height)
            made = compute(PROFILES[profile], beacon, self.device, "cpu", 64, backend=CpuBackend(1))
            self._computations[height] = made
            self._say(POG_COMMIT, COMMITMENT_TAG, made.commitment(height).encoded())
        else:
            height, commit_height, *_ = command.body
            until(lambda: self.light.update().height > commit_height, "the next block")
            proof = self._computations[height].open(verified_beacon(self.light, commit_height + 1))
            self._say(POG_OPEN, OPENING_TAG, cbor.encode(["pogopen1", height, proof.body()]))

    def _say(self, leaf: Leaf, tag: str, payload: bytes) -> None:
        kid = record_key_id(self.record_key.public.x)
        self.publish(leaf, cose.sign(self.record_key, kid, payload, tag, self.chain_id))

    def work(self) -> None:
        """One record."""
        at_ms = now_ms()
        record = self.records.draft(boot=BOOT, from_ms=at_ms - 400, to_ms=at_ms, host={"uptime_ms": at_ms})
        self.raw.append(sign_record(record, self.record_key, self.chain_id))
        opened = open_record(self.raw[-1])
        self.records.advance(opened.record, opened.hash)
        self.publish(WORK, self.raw[-1])

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self._jobs.shutdown()


def is_registered(services: HubServices, miner: Miner) -> bool:
    with contextlib.closing(services._desk.store.connect()) as connection:
        row = connection.execute("SELECT owner FROM devices WHERE device = ?", (miner.device,)).fetchone()
        return bool(row[0] == address(miner.owner.public))
