"""TPMT_PUBLIC: the public half of a key in a TPM, with the attributes that say what the TPM lets it do.

Source: Trusted Platform Module Library, part 2 (structures), 12.2.4 and 8.3. Read are RSA and P-256 keys with SHA-256
names, as the default templates make them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from chain.crypto.keys import PublicKey
from chain.errors import Malformed, Refused
from fleet.hub.attestation.reading import Reading

ALG_RSA: Final = 0x0001
ALG_AES: Final = 0x0006
ALG_SHA256: Final = 0x000B
ALG_NULL: Final = 0x0010
ALG_ECDSA: Final = 0x0018
ALG_ECC: Final = 0x0023
ALG_CFB: Final = 0x0043
CURVE_P256: Final = 0x0003
_RSA_EXPONENT: Final = 65_537


class Attributes(IntFlag):
    """TPMA_OBJECT, those that matter here."""

    FIXED_TPM = 1 << 1
    FIXED_PARENT = 1 << 4
    SENSITIVE_DATA_ORIGIN = 1 << 5
    RESTRICTED = 1 << 16
    DECRYPT = 1 << 17
    SIGN = 1 << 18


BORN_HERE: Final = Attributes.FIXED_TPM | Attributes.FIXED_PARENT | Attributes.SENSITIVE_DATA_ORIGIN
"""The TPM made this key and never lets it out."""


@dataclass(frozen=True, slots=True)
class PublicArea:
    """`point` for P-256 keys, `modulus` (big-endian) for RSA; `symmetric_bits` of AES where the key is a parent."""

    raw: bytes
    algorithm: int
    attributes: int
    scheme: tuple[int, int]
    symmetric_bits: int
    point: PublicKey | None
    modulus: bytes

    @classmethod
    def parse(cls, data: bytes) -> PublicArea:
        """Raises Malformed."""
        r = Reading(data, "public area of a TPM key")
        algorithm, name_algorithm, attributes = r.number(2), r.number(2), r.number(4)
        if algorithm not in (ALG_RSA, ALG_ECC) or name_algorithm != ALG_SHA256:
            r.refuse(
                f"is of type {algorithm:#06x} with names by {name_algorithm:#06x}; RSA or ECC with SHA-256 is read"
            )
        r.sized(64)  # the policy's digest
        symmetric_bits = _symmetric(r)
        scheme = _scheme(r)
        point, modulus = None, b""
        if algorithm == ALG_ECC:
            curve, key_derivation = r.number(2), r.number(2)
            if curve != CURVE_P256 or key_derivation != ALG_NULL:
                r.refuse(f"is on curve {curve:#06x}; P-256 is read")
            x, y = r.sized(32), r.sized(32)
            point = PublicKey.from_p256(x.rjust(32, b"\0"), y.rjust(32, b"\0"))
        else:
            bits, exponent = r.number(2), r.number(4)
            modulus = r.sized(512)
            if bits not in (2048, 3072, 4096) or exponent not in (0, _RSA_EXPONENT) or len(modulus) * 8 != bits:
                r.refuse(f"is RSA of {bits} bits with exponent {exponent}; 2048 to 4096 and 65537 are read")
            if not modulus[0] & 0x80 or not modulus[-1] & 1:
                r.refuse("has a modulus that no RSA key has")
        r.end()
        return cls(data, algorithm, attributes, scheme, symmetric_bits, point, modulus)

    @property
    def name(self) -> bytes:
        """TPM2B_NAME without its size: the hash algorithm and the hash of the public area."""
        return ALG_SHA256.to_bytes(2, "big") + hashlib.sha256(self.raw).digest()

    def has(self, wanted: Attributes) -> bool:
        return self.attributes & wanted == wanted

    def to_cryptography(self) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
        if self.point is not None:
            return self.point.to_cryptography()
        return rsa.RSAPublicNumbers(_RSA_EXPONENT, int.from_bytes(self.modulus, "big")).public_key()


def endorsement_key(data: bytes) -> PublicArea:
    """A key to which secrets can be addressed. Raises Malformed, Refused `attestation_invalid`."""
    area = PublicArea.parse(data)
    if not area.has(BORN_HERE | Attributes.RESTRICTED | Attributes.DECRYPT) or area.has(Attributes.SIGN):
        raise Refused("attestation_invalid", "the endorsement key is not a restricted decryption key born in a TPM")
    if area.symmetric_bits not in (128, 256):
        raise Malformed("attestation_invalid", "the endorsement key protects with something else than AES")
    return area


def attestation_key(data: bytes) -> PublicKey:
    """A key that signs only what its TPM made. Raises Malformed, Refused `attestation_invalid`."""
    return _signing_key(data, "attestation key", restricted=True)


def identity_key(data: bytes) -> PublicKey:
    """A key that signs anything and never left its TPM. Raises Malformed, Refused `attestation_invalid`."""
    return _signing_key(data, "identity key", restricted=False)


def _signing_key(data: bytes, what: str, *, restricted: bool) -> PublicKey:
    area = PublicArea.parse(data)
    if (
        not area.has(BORN_HERE | Attributes.SIGN)
        or area.has(Attributes.DECRYPT)
        or area.has(Attributes.RESTRICTED) is not restricted
    ):
        raise Refused("attestation_invalid", f"the {what}'s attributes {area.attributes:#010x} are not those of one")
    if area.point is None or area.scheme != (ALG_ECDSA, ALG_SHA256):
        raise Refused("attestation_invalid", f"the {what} does not sign by ECDSA over P-256 with SHA-256")
    return area.point


def _symmetric(r: Reading) -> int:
    algorithm = r.number(2)
    if algorithm == ALG_NULL:
        return 0
    bits, mode = r.number(2), r.number(2)
    if algorithm != ALG_AES or mode != ALG_CFB:
        r.refuse(f"names the cipher {algorithm:#06x} in mode {mode:#06x}; AES in CFB is read")
    return bits


def _scheme(r: Reading) -> tuple[int, int]:
    scheme = r.number(2)
    return (scheme, 0) if scheme == ALG_NULL else (scheme, r.number(2))
