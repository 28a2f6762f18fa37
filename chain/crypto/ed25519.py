"""Ed25519 signatures by the rules of ZIP-215: what CometBFT's validators accept, no more and no less.

libsodium decides the common case; every signature it accepts is also valid by ZIP-215 (it only refuses more:
small-order and non-canonical points, and equations that hold only up to the cofactor). What it refuses is decided
exactly, some ten times slower, so a caller counts refused signatures against whoever sent them.
"""

from __future__ import annotations

from hashlib import sha512

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

from chain.crypto import edwards
from chain.crypto.edwards import Point

SECRET_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is valid by ZIP-215; False for any wrong length, never an exception."""
    if len(signature) != SIGNATURE_BYTES or len(public) != PUBLIC_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public)
    except BadSignatureError:
        return verify_exactly(public, message, signature)
    return True


def verify_exactly(public: bytes, message: bytes, signature: bytes) -> bool:
    """ZIP-215 as [8S]B = 8R + [k]8A: multiplied by 8, every point lies where libsodium multiplies without refusing."""
    parts = _parts(public, message, signature)
    if parts is None:
        return False
    a, r, s, k = parts
    sum_right = edwards.compress(edwards.multiply_by_cofactor(r))
    a_cleared = edwards.multiply_by_cofactor(a)
    if k and not edwards.is_identity(a_cleared):
        product = crypto_scalarmult_ed25519_noclamp(k.to_bytes(32, "little"), edwards.compress(a_cleared))
        sum_right = crypto_core_ed25519_add(sum_right, product)
    if not s:
        return sum_right == edwards.compress(edwards.IDENTITY)
    return crypto_scalarmult_ed25519_base_noclamp((8 * s % edwards.ORDER).to_bytes(32, "little")) == sum_right


def verify_slow(public: bytes, message: bytes, signature: bytes) -> bool:
    """ZIP-215 word for word in plain integers, [8][S]B = [8]R + [8][k]A: the reference for the two above."""
    parts = _parts(public, message, signature)
    if parts is None:
        return False
    a, r, s, k = parts
    difference = edwards.add(edwards.double_multiply(s, edwards.BASE, k, edwards.negate(a)), edwards.negate(r))
    return edwards.is_identity(edwards.multiply_by_cofactor(difference))


def public_key(secret: bytes) -> bytes:
    """The public key (32 bytes) of a 32-byte secret (RFC 8032 calls it the private key, libsodium the seed)."""
    return crypto_sign_seed_keypair(secret)[0]


def sign(secret: bytes, public: bytes, message: bytes) -> bytes:
    """The deterministic signature (64 bytes, RFC 8032) of `message`; `public` must belong to `secret`."""
    return crypto_sign(message, secret + public)[:SIGNATURE_BYTES]


def _parts(public: bytes, message: bytes, signature: bytes) -> tuple[Point, Point, int, int] | None:
    """A, R, S and k, or None unless S < L and both points decode in any of their encodings."""
    if len(signature) != SIGNATURE_BYTES or len(public) != PUBLIC_BYTES:
        return None
    s = int.from_bytes(signature[32:], "little")
    if s >= edwards.ORDER:
        return None
    a = edwards.decompress(public, strict=False)
    r = edwards.decompress(signature[:32], strict=False)
    if a is None or r is None:
        return None
    k = int.from_bytes(sha512(signature[:32] + public + message).digest(), "little") % edwards.ORDER
    return a, r, s, k
