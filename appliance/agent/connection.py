"""The line to the fleet: MQTT 5 over mutual TLS, dialled from here, kept up through restarts of everything else."""

from __future__ import annotations

import random
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from appliance.agent.clock import Clock
from appliance.agent.events import Emit
from appliance.agent.tls import check_dates, context_for
from chain import outward
from chain.errors import DccnError, Unavailable
from fleet.protocol.limits import KEEP_ALIVE_S, RECEIVE_MAXIMUM, SESSION_EXPIRY_S, WILL_DELAY_S
from fleet.protocol.messages import Reported, State, encode
from fleet.protocol.topics import (
    COMMAND_DECOMMISSION,
    COMMAND_POG,
    COMMAND_POG_OPEN,
    COMMAND_UPDATE,
    DESIRED,
    MAX_PACKET_BYTES,
    RECEIPT,
    REPORTED,
    STATE,
    Leaf,
    parse,
)

CONNECT_TIMEOUT_S = 10.0
GOODBYE_TIMEOUT_S = 2.0
FIRST_DELAY_S = 0.5
QUEUED_MAX = 256
NO_SUBSCRIBERS = 16
"""MQTT 5: the broker took the message and had nobody to give it to, as when it or the hub has just begun anew."""
ROTATED = "certificate renewed"
SUBSCRIBED = (DESIRED, RECEIPT, COMMAND_POG, COMMAND_POG_OPEN, COMMAND_UPDATE, COMMAND_DECOMMISSION)

Receive = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to dial, and how both sides prove who they are; `certificate` is our PEM with its key."""

    host: str
    port: int
    fleet: str
    ca_pem: str
    certificate: Path


@dataclass(frozen=True, slots=True)
class Presence:
    """What `state` says while we are online."""

    boot: bytes
    agent: str
    os: str | None
    since_ms: int

    def online(self) -> bytes:
        return encode(
            State(online=True, boot=self.boot.hex(), agent=self.agent, os=self.os, since_ms=self.since_ms, reason=None)
        )

    def offline(self, reason: str, now_ms: int) -> bytes:
        return encode(
            State(online=False, boot=self.boot.hex(), agent=self.agent, os=self.os, since_ms=now_ms, reason=reason)
        )


def _nothing() -> None:
    return None


class Connection:
    """Component: one MQTT session at a time, a new one whenever it broke or the certificate was renewed.

    Inputs: `broker()`, `receivers` per leaf. Outputs: `publish`; `connected` is called after each (re)connection, when
    subscriptions stand, `refused` when the broker turned our certificate down, `unheard` when a message that is not
    retained met no hub: it is gone. `publish` may be told what to call once the hub's queue has the message.
    """

    name = "connection"

    def __init__(
        self,
        *,
        topic_id: str,
        broker: Callable[[], Broker],
        presence: Presence,
        reported: Callable[[], Reported],
        receivers: Mapping[Leaf, Receive],
        connected: Callable[[], None],
        refused: Callable[[], None],
        clock: Clock,
        emit: Emit,
        cap_s: float,
        unheard: Callable[[], None] = _nothing,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._topic_id = topic_id
        self._broker = broker
        self._presence = presence
        self._reported = reported
        self._receivers = {leaf.name: receive for leaf, receive in receivers.items()}
        self._connected = connected
        self._refused = refused
        self._unheard = unheard
        self._passing: dict[int, tuple[Callable[[], None], Callable[[], None]]] = {}
        self._answers: dict[int, bool] = {}
        self._clock = clock
        self._emit = emit
        self._cap_s = cap_s
        self._draw = draw
        self._client: mqtt.Client | None = None
        self._fleet = ""
        self._down = threading.Event()
        self._reason = ""
        self._was_open = False

    @property
    def is_connected(self) -> bool:
        return self._client is not None

    def rotate(self) -> None:
        """Connect again, with the renewed certificate."""
        self._break(ROTATED)

    def publish(self, leaf: Leaf, payload: bytes, heard: Callable[[], None] = _nothing, **arguments: str | int) -> bool:
        """Hand a message to the broker's session; False when there is no connection or its queue is full.

        `heard` is called, perhaps by another thread and before this returns, when the broker had a hub to give it to.
        """
        client = self._client
        if client is None:
            return False
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = leaf.content_type
        if leaf.expiry_s is not None:
            properties.MessageExpiryInterval = leaf.expiry_s
        topic = leaf.topic(self._fleet, self._topic_id, **arguments)
        sent = client.publish(topic, payload, leaf.qos, leaf.retain, properties)
        if leaf.qos:
            # What is retained waits at the broker for whoever comes.
            self._passing[sent.mid] = (heard, _nothing if leaf.retain else self._unheard)
            self._note_answer(sent.mid)
        return sent.rc == mqtt.MQTT_ERR_SUCCESS

    def publish_json(self, leaf: Leaf, message: msgspec.Struct, **arguments: str | int) -> bool:
        return self.publish(leaf, encode(message), heard=_nothing, **arguments)

    def run(self, stop: threading.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                self._session(stop)
                failures = 0
            except DccnError as error:
                failures = 1 if self._was_open else failures + 1
                self._emit("disconnected", reason=error.message, code=error.code)
            if not stop.is_set() and self._reason != ROTATED:
                self._down.clear()
                self._wait(stop, full_jitter_s(failures, self._cap_s, self._draw))

    def wake(self) -> None:
        """Let `run` notice that it should stop."""
        self._down.set()

    def _wait(self, stop: threading.Event, delay_s: float) -> None:
        if not stop.is_set():
            self._down.wait(delay_s)

    def _session(self, stop: threading.Event) -> None:
        """Connect, serve until something ends it, say goodbye if it was we who wanted it."""
        broker = self._broker()
        self._fleet = broker.fleet
        self._reason, self._was_open = "", False
        self._down.clear()
        opened = threading.Event()
        client = self._make_client(broker, opened)
        self._dial(client, broker)
        client.loop_start()
        try:
            self._await_opening(opened, broker)
            self._client, self._was_open = client, True
            self._introduce(client, broker)
            while not stop.is_set() and not self._down.wait(1.0):
                pass
        finally:
            self._client = None
            if opened.is_set() and not self._reason and stop.is_set():
                self._say_goodbye(client)
            client.on_disconnect = None
            client.disconnect()
            client.loop_stop()
        if self._reason and self._reason != ROTATED:
            raise Unavailable("unreachable", self._reason)

    def _make_client(self, broker: Broker, opened: threading.Event) -> mqtt.Client:
        client = _OutwardClient(
            CallbackAPIVersion.VERSION2,
            client_id=self._topic_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        context = context_for(broker.ca_pem, broker.certificate)
        client.tls_set_context(context)
        client.max_inflight_messages_set(RECEIVE_MAXIMUM)
        client.max_queued_messages_set(QUEUED_MAX)
        will = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
        will.WillDelayInterval = WILL_DELAY_S
        will.ContentType = STATE.content_type
        client.will_set(
            STATE.topic(broker.fleet, self._topic_id),
            self._presence.offline("lwt", self._presence.since_ms),
            STATE.qos,
            STATE.retain,
            will,
        )

        def on_connect(_client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
            if reason.is_failure:
                self._break(f"the broker at {broker.host}:{broker.port} refuses this device: {reason}")
            else:
                opened.set()

        def on_disconnect(_client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
            self._break(f"the broker at {broker.host}:{broker.port} hung up: {reason}")

        def on_publish(_client: Any, _data: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
            self._answers[mid] = reason.value != NO_SUBSCRIBERS
            self._note_answer(mid)

        self._passing, self._answers = {}, {}
        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_publish = on_publish
        client.on_message = self._on_message
        return client

    def _dial(self, client: mqtt.Client, broker: Broker) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        client.connect_timeout = CONNECT_TIMEOUT_S
        where = f"{broker.host}:{broker.port}"
        try:
            client.connect(broker.host, broker.port, KEEP_ALIVE_S, clean_start=False, properties=properties)
        except ssl.SSLError as error:
            self._refused()
            raise Unavailable("unreachable", f"the broker at {where} fails the TLS handshake: {error}") from error
        except (OSError, ValueError) as error:
            raise Unavailable("unreachable", f"the broker at {where} does not answer: {error}") from error
        sock = client.socket()
        if isinstance(sock, ssl.SSLSocket):
            check_dates(sock, self._clock.now_ms())

    def _await_opening(self, opened: threading.Event, broker: Broker) -> None:
        """TLS 1.3 tells of a refused client certificate only after the handshake, by hanging up."""
        waited_s = 0.0
        while not opened.wait(0.05):
            waited_s += 0.05
            if self._down.is_set() or waited_s > CONNECT_TIMEOUT_S:
                self._refused()
                reason = self._reason or f"the broker at {broker.host}:{broker.port} does not accept the session"
                raise Unavailable("unreachable", reason)

    def _introduce(self, client: mqtt.Client, broker: Broker) -> None:
        filters = [(leaf.topic(broker.fleet, self._topic_id), SubscribeOptions(qos=leaf.qos)) for leaf in SUBSCRIBED]
        client.subscribe(filters)
        self.publish(STATE, self._presence.online())
        self.send_reported()
        self._connected()
        # Told last: whoever waits for this event finds a line on which nothing is forgotten any more.
        self._emit("connected", broker=f"{broker.host}:{broker.port}")

    def send_reported(self) -> bool:
        """Publish what this machine is; again after a desired state changed."""
        return self.publish_json(REPORTED, self._reported())

    def _say_goodbye(self, client: mqtt.Client) -> None:
        topic = STATE.topic(self._fleet, self._topic_id)
        sent = client.publish(topic, self._presence.offline("shutdown", self._clock.now_ms()), STATE.qos, STATE.retain)
        try:
            sent.wait_for_publish(GOODBYE_TIMEOUT_S)
        except (RuntimeError, ValueError):
            return  # the line is gone already: the last will says the rest

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            address = parse(message.topic)
            receive = self._receivers.get(address.leaf.name)
            if receive is not None and message.payload and len(message.payload) <= address.leaf.max_bytes:
                receive(bytes(message.payload))
        except DccnError as error:
            self._emit("command_refused", reason=error.message, code=error.code)

    def _note_answer(self, mid: int) -> None:
        """Called by whoever publishes and by whoever hears the broker's answer, in either order; acts once."""
        if mid in self._answers and (told := self._passing.pop(mid, None)) is not None:
            heard, unheard = told
            if self._answers.pop(mid):
                heard()
            else:
                unheard()

    def _break(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._down.set()


class _OutwardClient(mqtt.Client):
    """Reaches its broker as everything else here does; paho itself knows proxies only with PySocks."""

    def _create_socket_connection(self) -> socket.socket:
        return outward.connect(self._host, self._port, self._connect_timeout)


def full_jitter_s(failures: int, cap_s: float, draw: Callable[[], float]) -> float:
    """Seconds to wait before attempt `failures` + 1: uniform below an exponentially growing bound, so that a thousand
    devices that lost one broker do not come back in one moment. `draw` gives [0, 1)."""
    bound_s = min(cap_s, FIRST_DELAY_S * 2.0 ** min(failures, 16))
    return draw() * bound_s
