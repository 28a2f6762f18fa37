"""The chain as this device sees it: whatever a node answers is checked by the light client before anybody uses it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from appliance.agent.answer import Enrolment
from appliance.agent.tls import context_for
from chain.errors import DccnError, Refused, Unavailable
from chain.light.client import LightClient
from chain.light.inclusion import verified_beacon, verified_state, verified_transaction
from chain.light.rpc import RpcClient
from chain.light.store import FileTrustStore
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
    """One light client for all threads: `make_client(url)` builds it for a node, `forget` drops the stored trust.

    A node that does not answer `update` is left for the next one.
    """

    def __init__(
        self,
        urls: Sequence[str],
        hub: bytes,
        make_client: Callable[[str], LightClient],
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        assert urls, "the hub named no chain node"
        self._urls = list(urls)
        self._hub = hub
        self._make_client = make_client
        self._forget = forget
        self._lock = threading.RLock()
        self._client: LightClient | None = None
        self.verified_height: int | None = None

    def update(self) -> int:
        """Follow the chain to its newest header; its height."""
        try:
            header = self._with_client(lambda client: client.update())
        except DccnError as error:
            self._begin_again(drop_trust=error.code == "light_expired", next_node=isinstance(error, Unavailable))
            raise
        self.verified_height = header.height
        return header.height

    def beacon(self, height: int) -> bytes:
        """The beacon of a block; Unavailable while there is no such block."""
        return self._with_client(lambda client: verified_beacon(client, height))

    def time_ms(self, height: int) -> int:
        """The header time of a block."""
        return self._with_client(lambda client: client.header(height)).time_ns // 1_000_000

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

    def _begin_again(self, *, drop_trust: bool, next_node: bool) -> None:
        with self._lock:
            if drop_trust:  # this machine was off for weeks: the hub named a newer height when it renewed us
                self._forget()
                self._client = None
            elif next_node and (len(self._urls) > 1 or is_gateway(self._urls[0])):
                # A gateway may have turned away a certificate that was renewed since: a new client shows the new one.
                self._urls.append(self._urls.pop(0))
                self._client = None


def is_gateway(url: str) -> bool:
    """Nodes speak plain HTTP, as everything is proven; a gateway wants to know who asks."""
    return url.startswith("https:")


@dataclass(frozen=True, slots=True)
class LightClients:
    """Makes light clients that start where the last one stopped, or at the height that the hub named.

    `folder` keeps one file per chain, so that a chain that was begun anew is not taken for the old one.
    """

    folder: Path
    enrolment: Callable[[], Enrolment]
    now_ms: Callable[[], int]
    timeout_s: float
    certificate: Path

    def make(self, url: str) -> LightClient:
        """At an https address a gateway asks for this device's certificate, and shows one of the hub's CA."""
        answer = self.enrolment().answer
        tls = self._tls() if is_gateway(url) else None
        return LightClient(
            RpcClient(url, self.timeout_s, tls),
            answer.chain_id,
            answer.trusted_height,
            answer.trusted_hash,
            store=FileTrustStore(self.file),
            now_ns=lambda: self.now_ms() * 1_000_000,
        )

    def _tls(self) -> ssl.SSLContext:
        try:
            return context_for(self.enrolment().broker_ca_pem, self.certificate)
        except (OSError, ssl.SSLError) as error:
            raise Unavailable("unreachable", f"no certificate to show to the gateway: {error}") from None

    def forget(self) -> None:
        """The stored header is too old to start from."""
        self.file.unlink(missing_ok=True)

    @property
    def file(self) -> Path:
        return self.folder / f"light-{self.enrolment().answer.genesis_hash.hex()[:16]}.json"
