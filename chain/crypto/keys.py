"""Public and private keys of both algorithms, and their COSE_Key form.

Ed25519 signs accounts, records and votes; P-256 is what a TPM holds. A COSE_Key for hashing has kty, crv, x (and y)
and nothing else, so one key has exactly one encoding and one id.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol

from chain.crypto import ed25519, p256
from chain.errors import Malformed

Algorithm = Literal["ed25519", "p256"]

_KTY, _CRV, _X, _Y = 1, -1, -2, -3
_KTY_OKP, _KTY_EC2, _CRV_ED25519, _CRV_P256 = 1, 2, 6, 1
# Canonical CBOR of the maps below, up to the 32 bytes of each coordinate.
_ED25519_PREFIX = bytes.fromhex("a3 01 01 20 06 21 58 20".replace(" ", ""))
_P256_PREFIX = bytes.fromhex("a4 01 02 20 01 21 58 20".replace(" ", ""))
_P256_Y_PREFIX = bytes.fromhex("22 58 20".replace(" ", ""))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key; `x` and `y` are 32 bytes each, `y` is empty for Ed25519."""

    algorithm: Algorithm
    x: bytes
    y: bytes = b""

    @classmethod
    def from_ed25519(cls, public: bytes) -> PublicKey:
        """From the 32 bytes of RFC 8032; raises `bad_key` for any other length."""
        if type(public) is not bytes or len(public) != 32:
            raise Malformed("bad_key", "an Ed25519 public key has 32 bytes")
        return _ed25519(public)

    @classmethod
    def from_p256(cls, x: bytes, y: bytes) -> PublicKey:
        """From both coordinates (32 bytes each, big-endian); raises `bad_key` when the point is not on the curve."""
        if type(x) is not bytes or type(y) is not bytes or not p256.is_on_curve(x, y):
            raise Malformed("bad_key", "the P-256 coordinates are not a point of the curve")
        return cls("p256", x, y)

    @classmethod
    def from_cose(cls, cose: object) -> PublicKey:
        """From a decoded COSE_Key with exactly kty, crv, x (and y); raises `bad_key` for anything else."""
        if isinstance(cose, dict) and type(cose.get(_KTY)) is type(cose.get(_CRV)) is int:
            kty, crv = cose[_KTY], cose[_CRV]
            if kty == _KTY_OKP and crv == _CRV_ED25519 and len(cose) == 3:
                return cls.from_ed25519(cose.get(_X, b""))
            if kty == _KTY_EC2 and crv == _CRV_P256 and len(cose) == 4:
                return cls.from_p256(cose.get(_X, b""), cose.get(_Y, b""))
        raise Malformed("bad_key", "a COSE_Key is {1: 1, -1: 6, -2: x} (Ed25519), {1: 2, -1: 1, -2: x, -3: y} (P-256)")

    def cose(self) -> dict[int, int | bytes]:
        """The COSE_Key map (RFC 9052 section 7) with the members that identify the key, in canonical order."""
        if self.algorithm == "ed25519":
            return {_KTY: _KTY_OKP, _CRV: _CRV_ED25519, _X: self.x}
        return {_KTY: _KTY_EC2, _CRV: _CRV_P256, _X: self.x, _Y: self.y}

    def encoded(self) -> bytes:
        """Canonical CBOR of `cose()`."""
        if self.algorithm == "ed25519":
            return _ED25519_PREFIX + self.x
        return _P256_PREFIX + self.x + _P256_Y_PREFIX + self.y

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` (64 bytes) is this key's over `message`: Ed25519 by ZIP-215, P-256 only with low s."""
        if self.algorithm == "ed25519":
            return ed25519.verify(self.x, message, signature)
        return p256.verify(self.x, self.y, message, signature)

    def to_cryptography(self) -> p256.PublicNumbersKey:
        """The P-256 key as `cryptography` has it, for X.509; raises `bad_key` for Ed25519."""
        if self.algorithm != "p256":
            raise Malformed("bad_key", "certificates are made for P-256 keys")
        return p256.public_object(self.x, self.y)


class SigningKey(Protocol):
    """What signs, wherever its secret lies: in memory (`PrivateKey`) or in a chip that never lets it out."""

    @property
    def algorithm(self) -> Algorithm: ...

    @property
    def public(self) -> PublicKey: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key; `secret` is 32 bytes and never printed."""

    algorithm: Algorithm
    secret: bytes = field(repr=False)
    public: PublicKey

    @classmethod
    def generate(cls, algorithm: Algorithm, entropy: Callable[[int], bytes] = secrets.token_bytes) -> PrivateKey:
        """A new key from `entropy(32)`."""
        while True:
            secret = entropy(32)
            if algorithm == "ed25519" or p256.is_secret(secret):
                return cls.from_secret(algorithm, secret)

    @classmethod
    def from_secret(cls, algorithm: Algorithm, secret: bytes) -> PrivateKey:
        """From 32 bytes: the Ed25519 seed, or the P-256 scalar big-endian; raises `bad_key` if it is neither."""
        if len(secret) != 32:
            raise Malformed("bad_key", f"a secret key has 32 bytes, not {len(secret)}")
        if algorithm == "ed25519":
            return cls("ed25519", secret, PublicKey.from_ed25519(ed25519.public_key(secret)))
        if not p256.is_secret(secret):
            raise Malformed("bad_key", "the P-256 secret is not between 1 and the curve's order")
        return cls("p256", secret, PublicKey("p256", *p256.public_coordinates(secret)))

    def sign(self, message: bytes) -> bytes:
        """64 bytes: Ed25519 (RFC 8032), or ECDSA P-256 with SHA-256 as r, s with low s, nonce by RFC 6979."""
        if self.algorithm == "ed25519":
            return ed25519.sign(self.secret, self.public.x, message)
        return p256.sign(self.secret, message)

    def to_cryptography(self) -> p256.PrivateNumbersKey:
        """The P-256 key as `cryptography` has it, for CSRs and TLS; raises `bad_key` for Ed25519."""
        if self.algorithm != "p256":
            raise Malformed("bad_key", "certificates are made for P-256 keys")
        return p256.private_object(self.secret)


@lru_cache(maxsize=8192)
def _ed25519(public: bytes) -> PublicKey:
    return PublicKey("ed25519", public)
