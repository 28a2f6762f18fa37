"""The chain as this device sees it: whatever a node answers is checked by the light client before anybody uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from chain.errors import Refused, Unavailable
from chain.light.client import LightClient
from chain.light.inclusion import verified_beacon, verified_state, verified_transaction
from chain.wire.state import (
    Account,
    Device,
    PogCommitment,
    Reward,
    account_key,
    device_key,
    pog_commitment_key,
    reward_key,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Proven:
    """A state value (None: proven to be absent) and the height that its proof belongs to."""

    value: bytes | None
    height: int


class VerifiedChain:
    """One light client for all threads; `make_client(url)` builds it for a node. A node that does not answer `update` is
    left for the next one."""

    def __init__(self, urls: Sequence[str], hub: bytes, make_client: Callable[[str], LightClient]) -> None:
        assert urls, "the hub named no chain node"
        self._urls = list(urls)
        self._hub = hub
        self._make_client = make_client
        self._lock = threading.RLock()
        self._client: LightClient | None = None
        self.verified_height: int | None = None

    def update(self) -> int:
        """Follow the chain to its newest header; its height."""
        try:
            header = self._with_client(lambda client: client.update())
        except Unavailable:
            self._try_next_node()
            raise
        self.verified_height = max(self.verified_height or 0, header.height)
        return self.verified_height

    def beacon(self, height: int) -> bytes:
        """The beacon of a block; Unavailable while there is no such block."""
        return self._with_client(lambda client: verified_beacon(client, height))

    def state(self, key: bytes) -> Proven:
        """The newest provable value under a state key."""
        return Proven(*self._with_client(lambda client: verified_state(client, key)))

    def committed_root(self, challenge_height: int) -> tuple[bytes, int]:
        """(root, count) that the hub committed to for a challenge; Unavailable while the chain does not say so."""
        proven = self.state(pog_commitment_key(self._hub))
        commitment = PogCommitment.decode(proven.value) if proven.value is not None else None
        if commitment is None or commitment.challenge_height < challenge_height:
            raise Unavailable("unreachable", f"the chain holds no commitment to challenge {challenge_height} yet")
        if commitment.challenge_height > challenge_height:
            raise Refused(
                "pog_wrong_beacon", f"the hub's commitment is to challenge {commitment.challenge_height} by now"
            )
        return commitment.root, commitment.count

    def account(self, address: bytes) -> tuple[Account, int]:
        proven = self.state(account_key(address))
        return (Account.decode(proven.value) if proven.value is not None else Account(0, 0)), proven.height

    def device(self, device: bytes) -> tuple[Device | None, int]:
        proven = self.state(device_key(device))
        return (Device.decode(proven.value) if proven.value is not None else None), proven.height

    def reward(self, address: bytes) -> tuple[Reward | None, int]:
        proven = self.state(reward_key(address))
        return (Reward.decode(proven.value) if proven.value is not None else None), proven.height

    def transaction(self, tx_hash: bytes, height: int) -> bytes:
        """The transaction's bytes, proven to be in the block of this height."""
        return self._with_client(lambda client: verified_transaction(client, tx_hash, height))

    def _with_client(self, ask: Callable[[LightClient], T]) -> T:
        with self._lock:
            if self._client is None:
                self._client = self._make_client(self._urls[0])
            return ask(self._client)

    def _try_next_node(self) -> None:
        with self._lock:
            if len(self._urls) > 1:
                self._urls.append(self._urls.pop(0))
                self._client = None
