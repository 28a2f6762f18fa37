"""TPMS_ATTEST and TPMT_SIGNATURE: what a TPM states about itself, and its signature under that.

Source: Trusted Platform Module Library, part 2 (structures), 10.12 and 11.3. A restricted key signs data that begin
with `TPM_GENERATED_VALUE` only when the TPM made them itself, so nothing else can pass for a statement.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from chain.crypto.keys import PublicKey
from chain.errors import Refused
from fleet.hub.attestation.public_area import ALG_ECDSA, ALG_SHA256
from fleet.hub.attestation.reading import Reading

GENERATED: Final = 0xFF544347
CERTIFY: Final = 0x8017
QUOTE: Final = 0x8018
_PCR_BYTES_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Statement:
    """The head that all statements share; `resets` counts the TPM's restarts, `extra` is the asker's nonce.

    A quote has `pcrs` (of the SHA-256 bank) and `pcr_digest`, a certification the certified key's `name`.
    """

    kind: int
    extra: bytes
    resets: int
    firmware: int
    name: bytes = b""
    pcrs: tuple[int, ...] = ()
    pcr_digest: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Statement:
        """Raises Malformed `attestation_invalid`."""
        r = Reading(data, "statement of the TPM")
        if r.number(4) != GENERATED:
            r.refuse("was not made by a TPM: its first four bytes are others")
        kind = r.number(2)
        r.sized(68)  # the signer's qualified name
        extra = r.sized(64)
        r.number(8)  # clock
        resets = r.number(4)
        r.number(4)  # restarts
        if r.number(1) > 1:
            r.refuse("has a flag that is neither yes nor no")
        firmware = r.number(8)
        if kind == CERTIFY:
            name = r.sized(68)
            r.sized(68)  # the certified key's qualified name
            r.end()
            return cls(kind, extra, resets, firmware, name=name)
        if kind != QUOTE:
            r.refuse(f"is of kind {kind:#06x}, neither a quote nor a certification")
        pcrs, digest = _selection(r), r.sized(64)
        r.end()
        return cls(kind, extra, resets, firmware, pcrs=pcrs, pcr_digest=digest)


def open_statement(data: bytes, signature: bytes, key: PublicKey, kind: int) -> Statement:
    """The statement, if `key` signed it and it is of this kind. Raises Malformed, Refused `attestation_invalid`."""
    if not _verifies(key, data, signature):
        raise Refused("attestation_invalid", "the statement is not signed by this attestation key")
    statement = Statement.parse(data)
    if statement.kind != kind:
        raise Refused("attestation_invalid", f"the statement is of kind {statement.kind:#06x}, not {kind:#06x}")
    return statement


def _selection(r: Reading) -> tuple[int, ...]:
    if r.number(4) != 1 or r.number(2) != ALG_SHA256:
        r.refuse("quotes something else than one bank of SHA-256 registers")
    bitmap = r.sized(_PCR_BYTES_MAX, width=1)
    return tuple(number for number in range(len(bitmap) * 8) if bitmap[number // 8] >> number % 8 & 1)


def _verifies(key: PublicKey, data: bytes, signature: bytes) -> bool:
    r = Reading(signature, "signature of the TPM")
    if (r.number(2), r.number(2)) != (ALG_ECDSA, ALG_SHA256):
        r.refuse("is not by ECDSA with SHA-256")
    numbers = [int.from_bytes(r.sized(32), "big") for _ in "rs"]
    r.end()
    try:
        # Not PublicKey.verify: that asks for a low s, which a TPM does not care about.
        key.to_cryptography().verify(
            utils.encode_dss_signature(*numbers),
            hashlib.sha256(data).digest(),
            ec.ECDSA(utils.Prehashed(hashes.SHA256())),
        )
    except InvalidSignature:
        return False
    return True
