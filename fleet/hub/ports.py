"""What the hub's HTTP side asks of its services, and how `server.run` starts and stops them.

The services (ingest, proofs, chain) implement these; tests of the API pass their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from fleet.protocol.topics import Leaf


@dataclass(frozen=True, slots=True)
class ChainTrust:
    """What a device needs to follow the chain by itself, as the hub's own light client verified it."""

    chain_id: str
    genesis_hash: bytes
    trusted_height: int
    trusted_hash: bytes
    rpc: tuple[str, ...]
    transaction_fee: int
    """10^-18 ANKR."""


@dataclass(frozen=True, slots=True)
class ChainView:
    """The chain as the page shows it; None is unknown. Amounts are decimal ANKR."""

    chain_id: str | None = None
    height: int | None = None
    block_time_ms: int | None = None
    reward_epoch: int | None = None
    supply: str | None = None
    validators: int | None = None
    engine: str | None = None
    hub_balance: str | None = None
    problem: str | None = None
    """Why nothing newer is known, as one sentence."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a work record stands in a batch: leaf → root → transaction. Sums are integers; `path` goes leaf to root."""

    reward_epoch: int
    height: int
    tx_hash: bytes
    root: bytes
    count: int
    total: int
    index: int
    leaf_sum: int
    record: bytes
    path: list[tuple[bytes, int]] = field(default_factory=list)


class ChainPort(Protocol):
    """The chain follower and the transaction sender."""

    def trust(self) -> ChainTrust:
        """Raises Unavailable(unreachable) while no header has been verified."""

    def view(self) -> ChainView:
        """The newest known; never raises, never waits."""

    def sponsor(self, transaction: bytes) -> bytes:
        """Add the hub's fee signature to a registration and broadcast it: its hash. Raises Refused, Unavailable."""


class ProofPort(Protocol):
    """The batches that went to the chain."""

    def inclusion(self, device: str, chain: bytes, seq: int) -> Inclusion | None:
        """Of a record of the device (32 hex digits); None while it is in no block."""


class CommandPort(Protocol):
    """Signed commands to devices."""

    def send(self, leaf: Leaf, device: bytes, kind: str, body: object, valid_ms: int) -> bool:
        """False when the broker did not take it. Raises Unavailable `unreachable` while the chain is not known."""


class Service(Protocol):
    """Something that runs beside the HTTP servers in threads of its own."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Ends within seconds; what was received and not committed is left unacknowledged."""
