"""Ed25519 signatures by the rules of ZIP-215: what CometBFT's validators accept, no more and no less.

libsodium decides the common case; every signature it accepts is also valid by ZIP-215 (it only refuses more:
small-order and non-canonical points, and equations that hold only up to the cofactor). What it refuses is decided
exactly, in Python and many times slower, so a caller counts refused signatures against whoever sent them.
"""

from __future__ import annotations

from hashlib import sha512

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from chain.crypto import edwards

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
        return verify_slow(public, message, signature)
    return True


def verify_slow(public: bytes, message: bytes, signature: bytes) -> bool:
    """ZIP-215 in exact integers: S < L, any encoding of A and R that decodes, and [8][S]B = [8]R + [8][k]A."""
    if len(signature) != SIGNATURE_BYTES or len(public) != PUBLIC_BYTES:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= edwards.ORDER:
        return False
    a = edwards.decompress(public, strict=False)
    r = edwards.decompress(signature[:32], strict=False)
    if a is None or r is None:
        return False
    k = int.from_bytes(sha512(signature[:32] + public + message).digest(), "little") % edwards.ORDER
    difference = edwards.add(edwards.double_multiply(s, edwards.BASE, k, edwards.negate(a)), edwards.negate(r))
    return edwards.is_identity(edwards.multiply_by_cofactor(difference))


def public_key(secret: bytes) -> bytes:
    """The public key (32 bytes) of a 32-byte secret (RFC 8032 calls it the private key, libsodium the seed)."""
    return crypto_sign_seed_keypair(secret)[0]


def sign(secret: bytes, public: bytes, message: bytes) -> bytes:
    """The deterministic signature (64 bytes, RFC 8032) of `message`; `public` must belong to `secret`."""
    return crypto_sign(message, secret + public)[:SIGNATURE_BYTES]
