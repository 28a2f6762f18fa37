"""What goes through ingest: messages in, decisions out, and the snapshot of the store that the decisions rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from chain.crypto.keys import PublicKey
from chain.proofs.pog.format import Commitment, Proof
from chain.wire.cose import Envelope
from fleet.hub.ingest.continuity import Chain
from fleet.protocol.topics import Address

ChainKey = tuple[bytes, bytes]
"""(device id, record chain id)."""


class Message(msgspec.Struct, frozen=True):
    """One publication as the broker gave it; `token` is the link's, to acknowledge it with (None: nothing to do)."""

    topic: str
    payload: bytes
    arrived_ms: int
    token: object = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that was turned down: `code` from the registry, `topic_id` empty when no device is to be named."""

    code: str
    topic_id: str
    topic: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeviceView:
    """What the hub knows about a device. `certificate_not_after_ms` is that of its newest client certificate."""

    device: bytes
    topic_id: str
    fleet: str
    identity: bytes
    registered: bool
    certificate_not_after_ms: int


@dataclass(frozen=True, slots=True)
class DelegationView:
    """A record key that the device's identity key certified for one boot and a span of time."""

    device: bytes
    record_public: bytes
    boot: bytes
    not_before_ms: int
    not_after_ms: int


@dataclass(frozen=True, slots=True)
class RoundView:
    """A PoG round that takes commitments or openings: `state` is open, committed or opened."""

    challenge_height: int
    profile: str
    state: str


@dataclass(slots=True)
class Snapshot:
    """Everything in the store that a batch names. `verify_batch` takes it over and changes `chains` and `delegations`.

    `devices` by topic id, `delegations` by (device, kid), `commitments` maps (height, device, gpu) to the committed
    root.
    """

    devices: Mapping[str, DeviceView]
    delegations: dict[tuple[bytes, bytes], DelegationView]
    chains: dict[ChainKey, Chain]
    rounds: Mapping[int, RoundView] = field(default_factory=dict)
    commitments: dict[tuple[int, bytes, str], bytes] = field(default_factory=dict)


class AcceptedRecord(msgspec.Struct, frozen=True):
    """A work record to be stored. `to_ms` ends its interval by the device's clock; a `stale` one earns nothing; `kid`
    names the record key that signed it.
    """

    device: bytes
    topic_id: str
    chain: bytes
    seq: int
    hash: bytes
    to_ms: int
    arrived_ms: int
    raw: bytes
    stale: bool
    kid: bytes


@dataclass(frozen=True, slots=True)
class AcceptedDelegation:
    """A delegation to be stored under `kid`."""

    kid: bytes
    view: DelegationView
    arrived_ms: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A second signed record under a sequence number that is taken; the store has the first."""

    device: bytes
    topic_id: str
    chain: bytes
    seq: int
    arrived_ms: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class AcceptedCommitment:
    """A signed root over computed rows for an open round; the store has the last word on whether it still is open."""

    commitment: Commitment
    message: Message
    topic_id: str


@dataclass(frozen=True, slots=True)
class Opening:
    """Opened rows for a commitment whose round is opened; `proof` is read, not verified yet."""

    challenge_height: int
    proof: Proof
    topic_id: str
    topic: str
    arrived_ms: int


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON message of a known device (state, inventory, gauges, event) for the actions to note."""

    address: Address
    payload: bytes


@dataclass(slots=True)
class Decisions:
    """What one batch leads to, in order of arrival. `receipts` names the chains whose devices get a receipt."""

    refusals: list[Refusal] = field(default_factory=list)
    delegations: list[AcceptedDelegation] = field(default_factory=list)
    records: list[AcceptedRecord] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)
    commitments: list[AcceptedCommitment] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    receipts: dict[ChainKey, str] = field(default_factory=dict)


class SignatureCheck(msgspec.Struct, frozen=True):
    """One signature to verify: the envelope, the key that must have signed it, and the purpose."""

    envelope: Envelope
    key: PublicKey
    tag: str
