"""The device's identity: a P-256 key that is born on the machine and never leaves it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from appliance.agent.keyfile import load_or_create
from chain.crypto.address import device_id
from chain.crypto.keys import PrivateKey, PublicKey
from fleet.protocol.topics import topic_id

KID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """`device` is the 32-byte device id; `evidence_level` 0 says that the key lies in a file, not in a TPM."""

    key: PrivateKey
    device: bytes
    evidence_level: int = 0

    @property
    def public(self) -> PublicKey:
        return self.key.public

    @property
    def kid(self) -> bytes:
        """How envelopes name this key: SHA-256(COSE_Key)[:16]."""
        return sha256(self.public.encoded()).digest()[:KID_BYTES]

    @property
    def topic_id(self) -> str:
        """First 32 hex digits of the device id: the name in topics, certificates and on screens."""
        return topic_id(self.device)


def open_identity(path: Path) -> Identity:
    """The identity stored in `path`, made and stored first when there is none; Faulty `home_invalid` when damaged."""
    key = load_or_create(path, "p256", "device identity")
    return Identity(key, device_id(key.public))
