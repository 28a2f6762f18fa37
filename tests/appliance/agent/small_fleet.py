"""The hub's end of the line for tests: a real mosquitto, and a client that hears everything and can answer."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from small_hub import CHAIN_ID, SmallHub

from chain.proofs.receipts import Receipt, sign_receipt
from chain.proofs.records import open_record
from fleet.hub.broker.supervisor import Broker
from fleet.protocol.topics import RECEIPT, WORK, Leaf, parse

TIMEOUT_S = 10.0


@dataclass
class Heard:
    leaf: str
    payload: bytes
    properties: Any
    retain: bool


@dataclass
class SmallFleet:
    """Hears everything under dccn/v1; `answering` sends a receipt for every record that is next in its chain."""

    hub: SmallHub
    folder: Path
    answering: bool = True
    heard: list[Heard] = field(default_factory=list)
    records: dict[bytes, list[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._arrived = threading.Condition()
        self._client: mqtt.Client | None = None
        self.start_broker()
        self.hub.broker_port = self.port

    def start_broker(self) -> None:
        self.broker = Broker(self.folder, "127.0.0.1", self.port, "home")
        self.broker.start(self.hub.identity.authority, ["127.0.0.1"], self.hub.now_ms())

    def listen(self) -> None:
        key, certificate = self.hub.identity.authority.issue_pair("hub", [], self.hub.now_ms())
        (self.folder / "test-client.pem").write_bytes(certificate + key)
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="hub", protocol=mqtt.MQTTv5)
        context = ssl.create_default_context(cadata=self.hub.identity.authority.pem.decode())
        context.load_cert_chain(self.folder / "test-client.pem")
        client.tls_set_context(context)
        client.on_message = self._on_message
        ready = threading.Event()
        client.on_connect = lambda c, *_: c.subscribe("dccn/v1/#", qos=1)
        client.on_subscribe = lambda *_: ready.set()
        client.reconnect_delay_set(0.05, 0.2)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        assert ready.wait(TIMEOUT_S)
        self._client = client

    def silence(self) -> None:
        """Be a hub that is gone for good: its session ends."""
        assert self._client is not None
        self._client.unsubscribe("dccn/v1/#")
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, leaf: Leaf, topic_id: str, payload: bytes) -> None:
        assert self._client is not None
        self._client.publish(leaf.topic("home", topic_id), payload, leaf.qos, leaf.retain)

    def until(self, condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
        """Wait until what was heard makes `condition` true; its value."""
        with self._arrived:
            assert self._arrived.wait_for(condition, timeout_s), "it did not arrive in time"
            return condition()

    def of(self, leaf: Leaf) -> list[Heard]:
        return [heard for heard in self.heard if heard.leaf == leaf.name]

    def close(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
        self.broker.stop()

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        address = parse(message.topic)
        name = address.leaf.name
        with self._arrived:
            self.heard.append(Heard(name, bytes(message.payload), message.properties, message.retain))
            if name == WORK.name and self.answering:
                self._receive(address.device, bytes(message.payload))
            self._arrived.notify_all()

    def _receive(self, topic_id: str, payload: bytes) -> None:
        record = open_record(payload)
        chain = self.records.setdefault(record.record.chain, [])
        if record.record.seq == len(chain):
            assert record.record.previous == (chain[-1] if chain else bytes(32))
            chain.append(record.hash)
        if chain:
            self.send(RECEIPT, topic_id, self.receipt(record.record.device, record.record.chain, len(chain) - 1))

    def receipt(self, device: bytes, chain: bytes, upto: int, missing: tuple[int, ...] = ()) -> bytes:
        receipt = Receipt(device, chain, upto, self.records[chain][upto], missing, self.hub.now_ms())
        return sign_receipt(receipt, self.hub.keys.command, CHAIN_ID)
