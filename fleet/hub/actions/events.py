"""Every event that the hub emits: the audit log, the live page, webhooks and tests all read these and nothing else.

`device` is the topic id (32 hex digits); hashes are hex; ANKR amounts are decimal text. The docstring of each struct is
its entry in the registry, its `kind` in JSON the class name with dashes.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec


def _kind(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


class HubEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=_kind):
    """What all events share."""

    at_ms: int


class HubStarted(HubEvent, frozen=True, kw_only=True):
    """The hub is up."""

    version: str


class BrokerStarted(HubEvent, frozen=True, kw_only=True):
    """The private broker accepts connections."""

    port: int


class BrokerStopped(HubEvent, frozen=True, kw_only=True):
    """The private broker ended by itself and is started again."""

    reason: str


class TokenCreated(HubEvent, frozen=True, kw_only=True):
    """An admin made an enrolment token."""

    expires_ms: int


class ClaimBegun(HubEvent, frozen=True, kw_only=True):
    """A device without a token asked for a claim code."""

    device: str


class ClaimApproved(HubEvent, frozen=True, kw_only=True):
    """An admin typed a device's claim code."""

    device: str


class DeviceEnrolled(HubEvent, frozen=True, kw_only=True):
    """A device joined the fleet, or joined again with a new record chain."""

    device: str
    by: Literal["token", "claim"]
    again: bool


class CertificateIssued(HubEvent, frozen=True, kw_only=True):
    """The CA issued a client certificate."""

    device: str
    serial: str
    not_after_ms: int
    reason: Literal["enrol", "renew"]


class RegistrationSponsored(HubEvent, frozen=True, kw_only=True):
    """The hub paid the fee of a device's registration on the chain."""

    device: str
    owner: str
    tx_hash: str


class DeviceRegistered(HubEvent, frozen=True, kw_only=True):
    """The chain knows the device and its owner."""

    device: str
    owner: str
    height: int


class DecommissionAsked(HubEvent, frozen=True, kw_only=True):
    """An admin asked for the end of a device: it shall leave the chain and wipe its data."""

    device: str


class DeviceWiped(HubEvent, frozen=True, kw_only=True):
    """A device signed its proof of wipe, before it or (from a TPM) after it."""

    device: str
    phase: Literal["before", "after"]
    method: str
    revoked_height: int | None


class DeviceOnline(HubEvent, frozen=True, kw_only=True):
    """A device connected."""

    device: str


class DeviceOffline(HubEvent, frozen=True, kw_only=True):
    """A device went away: `shutdown` when it said so, `lwt` when the line was cut."""

    device: str
    reason: str


class DeviceReported(HubEvent, frozen=True, kw_only=True):
    """A device told what it is made of."""

    device: str


class DeviceNotice(HubEvent, frozen=True, kw_only=True):
    """A device reports something that a person may want to know."""

    device: str
    level: str
    code: str
    text: str


class DeviceAttested(HubEvent, frozen=True, kw_only=True):
    """A TPM vouched for a device's identity key and for a boot of a known image."""

    device: str
    image: str
    manufacturer: str | None
    secure_boot: bool


class AcceptanceReported(HubEvent, frozen=True, kw_only=True):
    """A device brought the signed report of its hardware tests; the numbers are how many tests ended so."""

    device: str
    profile: str
    level: str
    is_passed: bool
    passed: int
    failed: int
    skipped: int


class AttestationRefused(HubEvent, frozen=True, kw_only=True):
    """A device's attestation was turned down: its evidence level falls until a better one."""

    device: str
    code: str
    reason: str


class UpdateAnnounced(HubEvent, frozen=True, kw_only=True):
    """An admin asked devices to look for a release."""

    devices: int


class TelemetryReceived(HubEvent, frozen=True, kw_only=True):
    """A device's gauges; `gpu` is null for the machine itself."""

    device: str
    gpu: int | None
    sample: dict[str, Any]


class RecordsAccepted(HubEvent, frozen=True, kw_only=True):
    """Work records were verified and stored."""

    device: str
    count: int
    upto_seq: int
    record_key: str | None = None
    """Key id of what signed the last of them, hex."""


class MessageRefused(HubEvent, frozen=True, kw_only=True):
    """A message was turned down, with a code from the registry of errors."""

    device: str | None
    code: str
    detail: str
    topic: str


class ContradictionSeen(HubEvent, frozen=True, kw_only=True):
    """Two different signed records carry one sequence number."""

    device: str
    chain: str
    seq: int


class PogRoundOpened(HubEvent, frozen=True, kw_only=True):
    """A challenge to compute was announced to the fleet."""

    challenge_height: int
    profile: str
    window_ms: int


class PogChecked(HubEvent, frozen=True, kw_only=True):
    """An answer to a challenge was verified: a rate when it passed, a code when it failed."""

    device: str
    gpu: str
    challenge_height: int
    ok: bool
    code: str | None
    operations_per_s: int | None


class BatchSent(HubEvent, frozen=True, kw_only=True):
    """A reward epoch's records went to the chain as one transaction."""

    reward_epoch: int
    count: int
    tx_hash: str


class BatchIncluded(HubEvent, frozen=True, kw_only=True):
    """A block includes the batch."""

    reward_epoch: int
    height: int


class LeafChallenged(HubEvent, frozen=True, kw_only=True):
    """Somebody put up a bond and asks for a leaf of one of the hub's batches."""

    reward_epoch: int
    index: int
    challenger: str
    height: int


class LeafShown(HubEvent, frozen=True, kw_only=True):
    """A block holds the hub's answer to a challenge, and the bond is the hub's; `shown` counts all of them so far."""

    reward_epoch: int
    index: int
    height: int
    shown: int


class LeafNotShown(HubEvent, frozen=True, kw_only=True):
    """A challenge was not answered by this hub: unless somebody else did, the batch counts nothing."""

    reward_epoch: int
    index: int
    code: str


class RewardsPaid(HubEvent, frozen=True, kw_only=True):
    """The chain paid a reward epoch; `rewards` maps addresses to ANKR."""

    reward_epoch: int
    height: int
    rewards: dict[str, str]


class ChainAdvanced(HubEvent, frozen=True, kw_only=True):
    """The follower verified a newer header."""

    height: int
    reward_epoch: int | None
    supply: str | None


EVENTS: Final[tuple[type[HubEvent], ...]] = (
    HubStarted,
    BrokerStarted,
    BrokerStopped,
    TokenCreated,
    ClaimBegun,
    ClaimApproved,
    DeviceEnrolled,
    CertificateIssued,
    RegistrationSponsored,
    DeviceRegistered,
    DecommissionAsked,
    DeviceWiped,
    DeviceOnline,
    DeviceOffline,
    DeviceReported,
    DeviceNotice,
    DeviceAttested,
    AttestationRefused,
    UpdateAnnounced,
    AcceptanceReported,
    TelemetryReceived,
    RecordsAccepted,
    MessageRefused,
    ContradictionSeen,
    PogRoundOpened,
    PogChecked,
    BatchSent,
    BatchIncluded,
    LeafChallenged,
    LeafShown,
    LeafNotShown,
    RewardsPaid,
    ChainAdvanced,
)

NOT_AUDITED: Final[frozenset[type[HubEvent]]] = frozenset(
    {
        TelemetryReceived,
        RecordsAccepted,
        MessageRefused,
        ChainAdvanced,
        DeviceReported,
        PogRoundOpened,
        PogChecked,
        RewardsPaid,
    }
)
"""Frequent, and kept elsewhere (records, refusal_log, pog_results, …): these are only published."""


def kind_of(event: HubEvent | type[HubEvent]) -> str:
    """The event's name in JSON, such as `device-enrolled`."""
    return _kind((event if isinstance(event, type) else type(event)).__name__)
