"""ECDSA on P-256 with SHA-256, signatures as raw r, s (32 bytes each) and only the lower s.

OpenSSL does the arithmetic. The lower of the two valid s is demanded because the other one would give the same message
a second valid signature, and with it a second transaction hash.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

PublicNumbersKey = ec.EllipticCurvePublicKey
PrivateNumbersKey = ec.EllipticCurvePrivateKey

PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_CURVE = ec.SECP256R1()
_VERIFY = ec.ECDSA(hashes.SHA256())
_SIGN = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


def verify(x: bytes, y: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (r, s; 64 bytes, s at most half the order) is valid; never an exception."""
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < ORDER and 0 < s <= ORDER // 2):
        return False
    try:
        public_object(x, y).verify(encode_dss_signature(r, s), message, _VERIFY)
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(secret: bytes, message: bytes) -> bytes:
    """r and s (64 bytes) with low s; the nonce is derived by RFC 6979, so signing needs no randomness."""
    return raw_signature(private_object(secret).sign(message, _SIGN))


def raw_signature(der: bytes) -> bytes:
    """r and s (64 bytes) with low s, from a signature in DER; ValueError for anything else."""
    r, s = decode_dss_signature(der)
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise ValueError("r or s is not between 1 and the curve's order")
    return r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")


def is_on_curve(x: bytes, y: bytes) -> bool:
    """Whether (x, y), 32 bytes each, is a point of the curve (its order is prime: no small subgroups to fear)."""
    if len(x) != 32 or len(y) != 32:
        return False
    u, v = int.from_bytes(x, "big"), int.from_bytes(y, "big")
    return u < PRIME and v < PRIME and (v * v - u * u * u + 3 * u - _B) % PRIME == 0


def is_secret(secret: bytes) -> bool:
    return len(secret) == 32 and 0 < int.from_bytes(secret, "big") < ORDER


def public_coordinates(secret: bytes) -> tuple[bytes, bytes]:
    """x and y of the public key of a 32-byte scalar."""
    numbers = private_object(secret).public_key().public_numbers()
    return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")


@lru_cache(maxsize=4096)
def public_object(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), _CURVE).public_key()


@lru_cache(maxsize=16)
def private_object(secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(secret, "big"), _CURVE)
