"""The two commands of a PoG round, signed by the hub's command key and sent to one device each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from chain.crypto.keys import PrivateKey
from chain.proofs.commands import Command, sign_command
from fleet.protocol.topics import COMMAND_POG, COMMAND_POG_OPEN, Leaf, topic_id


class Downlink(Protocol):
    """What is asked of the broker's connection; `BrokerLink` is one."""

    def publish(self, leaf: Leaf, fleet: str, topic_id: str, payload: bytes) -> bool: ...


class PogCommands:
    """Sends challenges and requests to open. Versions grow with the clock, so they also grow over a restart."""

    def __init__(
        self, downlink: Downlink, command_key: PrivateKey, fleet: str, chain_id: str, now_ms: Callable[[], int]
    ) -> None:
        self._downlink = downlink
        self._command_key = command_key
        self._fleet = fleet
        self._chain_id = chain_id
        self._now_ms = now_ms
        self._version = 0

    def challenge(self, device: bytes, challenge_height: int, profile: str, left_ms: int) -> None:
        """Compute now: the beacon is that of `challenge_height`, `left_ms` are left of the window that it opened."""
        body = [challenge_height, profile, left_ms]
        self._send(COMMAND_POG, device, "pog", body, left_ms)

    def open_rows(
        self,
        device: bytes,
        challenge_height: int,
        commit_height: int,
        index: int,
        count: int,
        path: Sequence[bytes],
        valid_ms: int,
    ) -> None:
        """Show the rows drawn by the beacon after `commit_height`; index and path lead to the root in that block."""
        body = [challenge_height, commit_height, index, count, list(path)]
        self._send(COMMAND_POG_OPEN, device, "pog-open", body, valid_ms)

    def _send(self, leaf: Leaf, device: bytes, kind: str, body: list[object], valid_ms: int) -> None:
        now_ms = self._now_ms()
        self._version = max(self._version + 1, now_ms)
        command = Command(self._fleet, device, self._version, now_ms + valid_ms, kind, body)
        self._downlink.publish(
            leaf, self._fleet, topic_id(device), sign_command(command, self._command_key, self._chain_id)
        )
