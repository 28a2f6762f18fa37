"""How a machine proves its TPM and what it booted: two signed requests over HTTPS, each answered by the hub.

`begin` names the endorsement key and the attestation key; the hub answers with a secret that only a TPM holding both
can open, and a nonce. `prove` returns the secret, the attestation key's word on the identity key, and a quote. Requests
are COSE_Sign1 by the identity key, answers by the hub's command key, external data canonical CBOR `[tag, ""]`.
Structures of the TPM (TPMT_PUBLIC, TPMS_ATTEST, TPMT_SIGNATURE) travel as the TPM wrote them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from chain.wire.fields import Fields

ATTESTATION_TAG: Final = "dccn/attestation/v1"
ATTESTATION_ANSWER_TAG: Final = "dccn/attested/v1"
BEGIN_PATH: Final = "/v1/attestation/begin"
PROVE_PATH: Final = "/v1/attestation/prove"

QUOTED_PCRS: Final = (4, 7, 11, 12)
"""Of the SHA-256 bank: what was started, Secure Boot's state, the kernel image's sections, the command line."""
DIGEST_BYTES: Final = 32
NONCE_BYTES: Final = 32
CHALLENGE_BYTES: Final = 16
MAX_STRUCTURE_BYTES: Final = 1_024
MAX_CERTIFICATE_BYTES: Final = 4_096
MAX_EVENT_LOG_BYTES: Final = 192 * 1024
MAX_ATTESTATION_BYTES: Final = 224 * 1024
ATTESTED_FOR_MS: Final = 26 * 3_600_000
"""How long an accepted quote counts; the agent makes one twice a day and after every start."""


@dataclass(frozen=True, slots=True)
class Begin:
    """POST /v1/attestation/begin: `endorsement` and `attestation_key` are TPMT_PUBLIC, the certificate is DER."""

    device: bytes
    endorsement: bytes
    certificate: bytes | None
    attestation_key: bytes
    nonce: bytes

    def body(self) -> list[Any]:
        return ["atb1", self.device, self.endorsement, self.certificate, self.attestation_key, self.nonce]

    @classmethod
    def from_body(cls, body: object) -> Begin:
        """Raises Malformed."""
        f = Fields(body, "atb1", 6)
        certificate = f.optional(3, lambda at: f.octets_upto(at, MAX_CERTIFICATE_BYTES))
        keys = (f.octets_upto(2, MAX_STRUCTURE_BYTES), f.octets_upto(4, MAX_STRUCTURE_BYTES))
        return cls(f.octets(1, 32), keys[0], certificate, keys[1], f.octets(5, 16))


@dataclass(frozen=True, slots=True)
class Challenge:
    """The answer to `begin`: TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET with their sizes, and what to quote over."""

    challenge: bytes
    credential: bytes
    encrypted_secret: bytes
    nonce: bytes

    def body(self) -> list[Any]:
        return ["atc1", self.challenge, self.credential, self.encrypted_secret, self.nonce]

    @classmethod
    def from_body(cls, body: object) -> Challenge:
        """Raises Malformed."""
        f = Fields(body, "atc1", 5)
        blobs = (f.octets_upto(2, MAX_STRUCTURE_BYTES), f.octets_upto(3, MAX_STRUCTURE_BYTES))
        return cls(f.octets(1, CHALLENGE_BYTES), *blobs, f.octets(4, NONCE_BYTES))


@dataclass(frozen=True, slots=True)
class Proof:
    """POST /v1/attestation/prove: `certification` is the attestation key's word on `identity` (TPMT_PUBLIC).

    The quote is over `quote_nonce(nonce, record_public)`: it vouches for the boot's record key (Ed25519), which lives
    in that boot's memory alone: a machine that boots something else afterwards has no key that a quote vouches for.
    `pcrs` are the values of `QUOTED_PCRS` in their order, `event_log` the firmware's crypto-agile log, perhaps empty.
    """

    device: bytes
    challenge: bytes
    secret: bytes
    record_public: bytes
    identity: bytes
    certification: bytes
    certification_signature: bytes
    quote: bytes
    quote_signature: bytes
    pcrs: tuple[bytes, ...]
    event_log: bytes

    def body(self) -> list[Any]:
        certified = [self.identity, self.certification, self.certification_signature]
        quoted = [self.quote, self.quote_signature, list(self.pcrs), self.event_log]
        return ["atp1", self.device, self.challenge, self.secret, self.record_public, *certified, *quoted]

    @classmethod
    def from_body(cls, body: object) -> Proof:
        """Raises Malformed."""
        f = Fields(body, "atp1", 12)
        identity, certification, certification_signature, quote, quote_signature = (
            f.octets_upto(at, MAX_STRUCTURE_BYTES) for at in range(5, 10)
        )
        pcrs = tuple(f.octets_list(10, DIGEST_BYTES, len(QUOTED_PCRS)))
        return cls(
            device=f.octets(1, 32),
            challenge=f.octets(2, CHALLENGE_BYTES),
            secret=f.octets(3, DIGEST_BYTES),
            record_public=f.octets(4, 32),
            identity=identity,
            certification=certification,
            certification_signature=certification_signature,
            quote=quote,
            quote_signature=quote_signature,
            pcrs=pcrs,
            event_log=f.octets_upto(11, MAX_EVENT_LOG_BYTES, least=0),
        )


def quote_nonce(nonce: bytes, record_public: bytes) -> bytes:
    """What the TPM is given to sign with its registers: the hub's nonce and the record key, 32 bytes."""
    return hashlib.sha256(nonce + record_public).digest()


@dataclass(frozen=True, slots=True)
class Attested:
    """The answer to `prove`: the image that runs, who made the TPM (null: nobody whom this hub knows), until when."""

    image: str
    manufacturer: str | None
    secure_boot: bool
    not_after_ms: int

    def body(self) -> list[Any]:
        return ["ats1", self.image, self.manufacturer, self.secure_boot, self.not_after_ms]

    @classmethod
    def from_body(cls, body: object) -> Attested:
        """Raises Malformed."""
        f = Fields(body, "ats1", 5)
        return cls(f.text(1, 256), f.optional(2, lambda at: f.text(at, 512)), f.any(3) is True, f.integer(4))
