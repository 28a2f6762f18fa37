"""The hub's connection to the broker: MQTT 5 over mutual TLS, acknowledged by hand.

Proofs come through the shared subscription `$share/hub/…/proof/#`, so that more workers can join; state, inventory and
gauges through normal ones, since shared subscriptions carry no retained messages. A proof is acknowledged to the broker
only when its batch is on the disk; what was not comes again after a crash, because the session outlives the connection.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from fleet.hub.ingest.messages import Message
from fleet.protocol.limits import KEEP_ALIVE_S, SESSION_EXPIRY_S
from fleet.protocol.topics import (
    EVENT,
    MAX_PACKET_BYTES,
    REPORTED,
    ROOT,
    STATE,
    TELEMETRY_GPU,
    TELEMETRY_SYSTEM,
    Leaf,
)

RECEIVE_MAXIMUM: Final = 2_000
"""How many unacknowledged messages the broker may have under way to us; the queue has room for all of them."""
OUTGOING_MAXIMUM: Final = 10_000
RECONNECT_MAX_S: Final = 15
PROOFS: Final = f"{ROOT}/+/+/proof/#"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Where the broker is and who we are to it; the files are PEM, `ca` is what signed the broker's certificate."""

    host: str
    port: int
    ca: Path
    certificate: Path
    key: Path
    client_id: str = "hub"
    group: str = "hub"


@dataclass(frozen=True, slots=True)
class Token:
    """Names a message to acknowledge. Message ids begin anew with a connection, so a token of an older one is void."""

    connection: int
    mid: int


class BrokerLink:
    """`deliver` is called in the link's thread with every message and must return at once: False means no room.

    Only gauges (QoS 0) can meet a full queue; they are dropped and counted in `dropped`.
    """

    def __init__(self, settings: LinkSettings, deliver: Callable[[Message], bool], now_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._deliver = deliver
        self._now_ms = now_ms
        self._connection = 0
        self.connected = Event()
        self.dropped = 0
        self._client = self._make_client()

    def start(self) -> None:
        """Connect in a thread of its own, and again whenever the connection is lost."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        self._client.connect_async(
            self._settings.host, self._settings.port, KEEP_ALIVE_S, clean_start=False, properties=properties
        )
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect; the session stays at the broker, and what comes meanwhile waits there."""
        self._client.disconnect()
        self._client.loop_stop()
        self.connected.clear()

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Tell the broker that these are on the disk."""
        for message in messages:
            token = message.token
            if isinstance(token, Token) and token.connection == self._connection:
                self._client.ack(token.mid, 1)

    def publish(self, leaf: Leaf, fleet: str, topic_id: str, payload: bytes) -> bool:
        """Send a message down to a device with the leaf's QoS, retention, expiry and content type.

        False when it could not even be queued. What is queued is not therefore delivered: whoever needs that waits for
        the device's answer.
        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = leaf.content_type
        if leaf.expiry_s is not None:
            properties.MessageExpiryInterval = leaf.expiry_s
        sent = self._client.publish(leaf.topic(fleet, topic_id), payload, leaf.qos, leaf.retain, properties)
        return sent.rc in (mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_NO_CONN)

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._settings.client_id,
            protocol=mqtt.MQTTv5,
            manual_ack=True,
        )
        context = ssl.create_default_context(cafile=str(self._settings.ca))
        context.load_cert_chain(self._settings.certificate, self._settings.key)
        client.tls_set_context(context)
        client.max_inflight_messages_set(RECEIVE_MAXIMUM)
        client.max_queued_messages_set(OUTGOING_MAXIMUM)
        client.reconnect_delay_set(1, RECONNECT_MAX_S)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            _log.warning("the broker refuses the hub: %s", reason)
            return
        reliable, gauges = SubscribeOptions(qos=1), SubscribeOptions(qos=0)
        client.subscribe(
            [
                (f"$share/{self._settings.group}/{PROOFS}", reliable),
                *((leaf.filter(), reliable) for leaf in (STATE, REPORTED, EVENT)),
                *((leaf.filter(), gauges) for leaf in (TELEMETRY_SYSTEM, TELEMETRY_GPU)),
            ]
        )

    def _on_subscribe(self, _client: mqtt.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        """Only from here on does the broker keep messages for us: before, a new device would speak to nobody."""
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            _log.warning("the broker refuses a subscription: %s", ", ".join(refused))
            return
        self.connected.set()

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _p: Any) -> None:
        self._connection += 1
        self.connected.clear()
        if reason.is_failure:
            _log.warning("the broker's connection is lost (%s); trying again", reason)

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        token = Token(self._connection, message.mid) if message.qos else None
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "�"
        if not self._deliver(Message(topic, bytes(message.payload), self._now_ms(), token)):
            self.dropped += 1
