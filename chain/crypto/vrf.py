"""ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381): a random value that only its key's holder can make and anyone can check.

Secret scalars are multiplied by libsodium in constant time; verification works on public values in plain integers.
"""

from __future__ import annotations

from hashlib import sha512

from nacl.bindings import (
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)

from chain.crypto import ed25519, edwards
from chain.crypto.edwards import Point
from chain.errors import Malformed

PROOF_BYTES = 80
OUTPUT_BYTES = 64
_CHALLENGE_BYTES = 16
_SUITE = b"\x03"
_ENCODE, _CHALLENGE, _OUTPUT, _END = b"\x01", b"\x02", b"\x03", b"\x00"


def public_key(secret: bytes) -> bytes:
    """The 32-byte public key of a 32-byte secret; the same pair as Ed25519's, so use a key of its own."""
    return ed25519.public_key(secret)


def prove(secret: bytes, alpha: bytes) -> bytes:
    """The proof pi (80 bytes) for input `alpha` (RFC 9381 section 5.1)."""
    expanded = sha512(secret).digest()
    x = _clamp(expanded[:32])
    public = public_key(secret)
    h = edwards.compress(_encode_to_curve(public, alpha))
    gamma = crypto_scalarmult_ed25519_noclamp(x, h)
    nonce = crypto_core_ed25519_scalar_reduce(sha512(expanded[32:] + h).digest())
    u, v = crypto_scalarmult_ed25519_base_noclamp(nonce), crypto_scalarmult_ed25519_noclamp(nonce, h)
    challenge = _challenge(public, h, gamma, u, v)
    scalar = challenge + bytes(32 - _CHALLENGE_BYTES)
    x_reduced = crypto_core_ed25519_scalar_reduce(x + bytes(32))
    s = crypto_core_ed25519_scalar_add(nonce, crypto_core_ed25519_scalar_mul(scalar, x_reduced))
    return gamma + challenge + s


def verify(public: bytes, alpha: bytes, pi: bytes) -> bytes | None:
    """The output beta (64 bytes) if `pi` is the holder's proof for `alpha`, else None (RFC 9381 section 5.3)."""
    y = _public_point(public)
    decoded = _decode_proof(pi)
    if y is None or decoded is None:
        return None
    gamma, challenge, s = decoded
    h = _encode_to_curve(public, alpha)
    u = edwards.double_multiply(s, edwards.BASE, challenge, edwards.negate(y))
    v = edwards.double_multiply(s, h, challenge, edwards.negate(gamma))
    compressed = (edwards.compress(point) for point in (h, gamma, u, v))
    if _challenge(public, *compressed) != pi[32:48]:
        return None
    return _output(gamma)


def proof_to_hash(pi: bytes) -> bytes:
    """The output beta of a proof that is known to be valid; raises `malformed` if it cannot be decoded."""
    decoded = _decode_proof(pi)
    if decoded is None:
        raise Malformed("malformed", "the bytes are no VRF proof")
    return _output(decoded[0])


def is_valid_public_key(public: bytes) -> bool:
    """Whether a key decodes canonically and is not of small order (RFC 9381 section 5.4.5)."""
    return _public_point(public) is not None


def _public_point(public: bytes) -> Point | None:
    y = edwards.decompress(public, strict=True) if len(public) == 32 else None
    return None if y is None or edwards.is_identity(edwards.multiply_by_cofactor(y)) else y


def _encode_to_curve(salt: bytes, alpha: bytes) -> Point:
    """Try and increment (RFC 9381 section 5.4.1.1); about half of the tries succeed."""
    for counter in range(256):
        digest = sha512(_SUITE + _ENCODE + salt + alpha + bytes((counter,)) + _END).digest()
        point = edwards.decompress(digest[:32], strict=True)
        if point is not None:
            point = edwards.multiply_by_cofactor(point)
            if not edwards.is_identity(point):
                return point
    raise AssertionError("256 tries in a row found no point: a chance of 2^-256")


def _decode_proof(pi: bytes) -> tuple[Point, int, int] | None:
    """Gamma, c and s of a proof (RFC 9381 section 5.4.4)."""
    if len(pi) != PROOF_BYTES:
        return None
    gamma = edwards.decompress(pi[:32], strict=True)
    s = int.from_bytes(pi[48:], "little")
    if gamma is None or s >= edwards.ORDER:
        return None
    return gamma, int.from_bytes(pi[32:48], "little"), s


def _challenge(*points: bytes) -> bytes:
    return sha512(_SUITE + _CHALLENGE + b"".join(points) + _END).digest()[:_CHALLENGE_BYTES]


def _output(gamma: Point) -> bytes:
    return sha512(_SUITE + _OUTPUT + edwards.compress(edwards.multiply_by_cofactor(gamma)) + _END).digest()


def _clamp(secret: bytes) -> bytes:
    """RFC 8032 section 5.1.5, step 2."""
    return bytes((secret[0] & 248,)) + secret[1:31] + bytes((secret[31] & 63 | 64,))
