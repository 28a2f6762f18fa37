"""Commands to devices, signed by the hub's command key: one place, so that a device's versions only ever grow."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Protocol

from chain.crypto.keys import PrivateKey
from chain.proofs.commands import Command, sign_command
from fleet.protocol.topics import Leaf, topic_id


class Downlink(Protocol):
    """What is asked of the broker's connection; `BrokerLink` is one."""

    def publish(self, leaf: Leaf, fleet: str, topic_id: str, payload: bytes) -> bool: ...


class Commander:
    """Sends commands from any thread. Versions grow with the clock, so they also grow over a restart."""

    def __init__(
        self, downlink: Downlink, command_key: PrivateKey, fleet: str, chain_id: str, now_ms: Callable[[], int]
    ) -> None:
        self._downlink = downlink
        self._command_key = command_key
        self._fleet = fleet
        self._chain_id = chain_id
        self._now_ms = now_ms
        self._version = 0
        self._lock = Lock()

    def send(self, leaf: Leaf, device: bytes, kind: str, body: object, valid_ms: int) -> bool:
        """Sign a command that counts for `valid_ms` and hand it to the broker; False when there is no connection."""
        with self._lock:
            now_ms = self._now_ms()
            self._version = max(self._version + 1, now_ms)
            command = Command(self._fleet, device, self._version, now_ms + valid_ms, kind, body)
            envelope = sign_command(command, self._command_key, self._chain_id)
            return self._downlink.publish(leaf, self._fleet, topic_id(device), envelope)
