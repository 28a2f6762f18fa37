"""Validators' signatures by ZIP-215: the matrix of small-order points, torsion, and what must still be refused.

The cases are those of ZIP-215's own test (every pair of the 14 encodings of small-order points as A and R, with S = 0),
built here from the curve.
"""

from hashlib import sha512
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.crypto import ed25519, edwards

VERIFIERS = [ed25519.verify, ed25519.verify_exactly, ed25519.verify_slow]


def multiply(scalar: int, point: edwards.Point) -> edwards.Point:
    return edwards.double_multiply(scalar, point, 0, edwards.IDENTITY)


def torsion_generator() -> edwards.Point:
    """A point of order 8."""
    for y in range(2, 100):
        point = edwards.decompress(y.to_bytes(32, "little"), strict=True)
        if point is not None:
            candidate = multiply(edwards.ORDER, point)
            if not edwards.is_identity(multiply(4, candidate)):
                return candidate
    raise AssertionError("one point in two has a torsion part of order 8")


TORSION = [multiply(n, torsion_generator()) for n in range(8)]


def small_order_encodings() -> list[bytes]:
    """All 32-byte strings that ZIP-215 decodes to a small-order point: 8 canonical, 6 others."""
    ys = {int.from_bytes(edwards.compress(point), "little") & (1 << 255) - 1 for point in TORSION}
    ys |= {y + edwards.PRIME for y in ys if y + edwards.PRIME < 1 << 255}
    return [(y | sign << 255).to_bytes(32, "little") for y in sorted(ys) for sign in (0, 1)]


ENCODINGS = small_order_encodings()


def test_there_are_fourteen_encodings_of_small_order_points() -> None:
    assert len(set(ENCODINGS)) == 14
    assert len({edwards.compress(point) for point in TORSION}) == 8
    assert all(edwards.decompress(encoding, strict=False) is not None for encoding in ENCODINGS)
    assert sum(edwards.decompress(encoding, strict=True) is not None for encoding in ENCODINGS) == 8


@pytest.mark.parametrize("verify", VERIFIERS)
def test_all_196_small_order_signatures_verify(verify: object) -> None:
    assert callable(verify)
    for public, r in product(ENCODINGS, ENCODINGS):
        assert verify(public, b"Zcash", r + bytes(32)), (public.hex(), r.hex())


def torsioned(secret: bytes, message: bytes, a_torsion: int, r_torsion: int) -> tuple[bytes, bytes]:
    """A public key and a signature whose points carry torsion; the equation holds only up to the cofactor."""
    scalar = int.from_bytes(sha512(secret).digest()[:32], "little") % edwards.ORDER
    nonce = int.from_bytes(sha512(secret + message).digest(), "little") % edwards.ORDER
    a = edwards.add(multiply(scalar, edwards.BASE), TORSION[a_torsion])
    r = edwards.add(multiply(nonce, edwards.BASE), TORSION[r_torsion])
    public, encoded_r = edwards.compress(a), edwards.compress(r)
    k = int.from_bytes(sha512(encoded_r + public + message).digest(), "little") % edwards.ORDER
    return public, encoded_r + ((nonce + k * scalar) % edwards.ORDER).to_bytes(32, "little")


@pytest.mark.parametrize("verify", VERIFIERS)
def test_torsion_in_key_or_nonce_does_not_matter(verify: object) -> None:
    assert callable(verify)
    for a_torsion, r_torsion in product(range(8), (0, 1, 4)):
        public, signature = torsioned(b"s", b"message", a_torsion, r_torsion)
        assert verify(public, b"message", signature)
        assert not verify(public, b"massage", signature)


SECRET = b"\x0a" * 32
PUBLIC = ed25519.public_key(SECRET)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 64 * 8 - 1))
def test_the_three_verifiers_agree_on_signatures_and_on_damaged_ones(message: bytes, bit: int) -> None:
    signature = ed25519.sign(SECRET, PUBLIC, message)
    damaged = bytearray(signature)
    damaged[bit // 8] ^= 1 << bit % 8
    assert [verify(PUBLIC, message, signature) for verify in VERIFIERS] == [True] * 3
    assert [verify(PUBLIC, message, bytes(damaged)) for verify in VERIFIERS] == [False] * 3


@pytest.mark.parametrize("verify", VERIFIERS)
def test_s_at_or_above_the_order_is_refused(verify: object) -> None:
    assert callable(verify)
    signature = ed25519.sign(SECRET, PUBLIC, b"m")
    s = int.from_bytes(signature[32:], "little") + edwards.ORDER
    assert not verify(PUBLIC, b"m", signature[:32] + s.to_bytes(32, "little"))
    assert not verify(ENCODINGS[0], b"Zcash", ENCODINGS[0] + edwards.ORDER.to_bytes(32, "little"))


@pytest.mark.parametrize("verify", VERIFIERS)
def test_points_off_the_curve_and_wrong_lengths_are_refused(verify: object) -> None:
    assert callable(verify)
    off_curve = next(
        y.to_bytes(32, "little")
        for y in range(2, 50)
        if edwards.decompress(y.to_bytes(32, "little"), strict=False) is None
    )
    signature = ed25519.sign(SECRET, PUBLIC, b"m")
    assert not verify(off_curve, b"m", signature)
    assert not verify(PUBLIC, b"m", off_curve + signature[32:])
    assert not verify(PUBLIC[:-1], b"m", signature) and not verify(PUBLIC, b"m", signature[:-1])
    assert not verify(PUBLIC, b"m", b"") and not verify(b"", b"m", signature)
