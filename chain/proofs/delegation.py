"""How a device's identity key lends its voice to the record key of one boot."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain.crypto.address import device_id
from chain.crypto.keys import PublicKey, SigningKey
from chain.errors import Malformed, Refused
from chain.proofs.key_ids import key_id, record_key_id
from chain.proofs.records import Record
from chain.wire import cose
from chain.wire.fields import Fields

DELEGATION_TAG = "dccn/delegation/v1"
DELEGATION_MAX_BYTES = 512


@dataclass(frozen=True, slots=True)
class Delegation:
    """`["del1", device, record_public, boot, not_before_ms, not_after_ms, pcr_digest / null]`."""

    device: bytes
    record_public: bytes
    boot: bytes
    not_before_ms: int
    not_after_ms: int
    pcr_digest: bytes | None = None

    def body(self) -> list[object]:
        times = [self.not_before_ms, self.not_after_ms]
        return ["del1", self.device, self.record_public, self.boot, *times, self.pcr_digest]

    @classmethod
    def from_list(cls, body: object) -> Delegation:
        f = Fields(body, "del1", 7)
        pcr_digest = f.optional(6, lambda at: f.octets(at, 32))
        delegation = cls(f.octets(1, 32), f.octets(2, 32), f.octets(3, 16), f.integer(4), f.integer(5), pcr_digest)
        if delegation.not_after_ms <= delegation.not_before_ms:
            raise Malformed("malformed", "a delegation ends after it begins")
        return delegation

    @property
    def key_id(self) -> bytes:
        """The kid under which the record key signs."""
        return record_key_id(self.record_public)

    def covers(self, record: Record) -> bool:
        """Whether the record is of this device and boot and lies within the delegated time."""
        return (
            (record.device, record.boot) == (self.device, self.boot)
            and self.not_before_ms <= record.from_ms
            and record.to_ms <= self.not_after_ms
        )


@dataclass(frozen=True, slots=True)
class SignedDelegation:
    """A delegation as it came; `check` before use."""

    delegation: Delegation
    envelope: cose.Envelope = field(repr=False)

    def check(self, identity: PublicKey, chain_id: str) -> Delegation:
        """The delegation; Refused `delegation_invalid` unless this identity is the device's and signed it."""
        if device_id(identity) != self.delegation.device:
            raise Refused("delegation_invalid", "the identity key is not that of the device the delegation names")
        if self.envelope.kid != key_id(identity) or not self.envelope.verify(identity, DELEGATION_TAG, chain_id):
            raise Refused("delegation_invalid", f"device {self.delegation.device.hex()} did not sign this delegation")
        return self.delegation


def sign_delegation(delegation: Delegation, identity: SigningKey, chain_id: str) -> bytes:
    """The delegation's COSE_Sign1 by the identity key."""
    body = Delegation.from_list(delegation.body()).body()
    return cose.sign(identity, key_id(identity.public), body, DELEGATION_TAG, chain_id)


def open_delegation(data: bytes) -> SignedDelegation:
    """Parse; raises `too_large`, `malformed` or `non_canonical`."""
    envelope = cose.open_envelope(data, DELEGATION_MAX_BYTES)
    return SignedDelegation(Delegation.from_list(envelope.body), envelope)
