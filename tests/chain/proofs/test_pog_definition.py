"""PoG's numbers against a second implementation that shares no code with the product: integers and RFC 8439 only."""

import struct
from hashlib import sha256

import pytest

from chain.proofs.pog.challenge import Challenge
from chain.proofs.pog.cpu import CpuBackend
from chain.proofs.pog.opening import opened_indices
from chain.proofs.pog.profiles import INNER_MAX, PROFILES, Profile
from chain.proofs.pog.prove import compute
from chain.proofs.pog.rate import median_rate, operations_per_second, work_micro_ankr_per_hour
from chain.proofs.pog.streams import stream_rows
from chain.proofs.pog.verify import exact_row

BEACON, DEVICE, OPEN_BEACON = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
TEST = PROFILES["test"]


def chacha20_block(key: bytes, counter: int, nonce: tuple[int, int, int]) -> bytes:
    """RFC 8439 section 2.3."""
    initial = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8I", key), counter, *nonce]
    x = list(initial)

    def rotate(value: int, bits: int) -> int:
        return ((value << bits) | (value >> (32 - bits))) & 0xFFFFFFFF

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for left, right, third, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[left] = (x[left] + x[right]) & 0xFFFFFFFF
            x[third] = rotate(x[third] ^ x[left], bits)

    for _ in range(10):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for diagonal in range(4):
            quarter(diagonal, (diagonal + 1) % 4 + 4, (diagonal + 2) % 4 + 8, (diagonal + 3) % 4 + 12)
    return struct.pack("<16I", *((new + old) & 0xFFFFFFFF for new, old in zip(x, initial, strict=True)))


def naive_stream(key: bytes, index: int, length: int) -> list[int]:
    nonce = (0, index & 0xFFFFFFFF, index >> 32)
    blocks = b"".join(chacha20_block(key, counter, nonce) for counter in range(-(-length // 64)))
    return [byte - 256 if byte > 127 else byte for byte in blocks[:length]]


def naive_b(profile: Profile) -> list[list[int]]:
    key = sha256(b"dccn/pog/v1/B" + BEACON).digest()
    return [naive_stream(key, k, profile.width) for k in range(profile.inner)]


def naive_row(profile: Profile, b: list[list[int]], index: int) -> bytes:
    a = naive_stream(sha256(b"dccn/pog/v1/A" + BEACON + DEVICE + b"cpu").digest(), index, profile.inner)
    row = [sum(a[k] * b[k][j] for k in range(profile.inner)) for j in range(profile.width)]
    return b"".join(value.to_bytes(4, "little", signed=True) for value in row)


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, as it stands there."""
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def test_rows_of_the_real_profile_equal_the_naive_product_bit_for_bit() -> None:
    b = naive_b(TEST)
    multiplier = CpuBackend(workers=1).prepare(Challenge(TEST, BEACON, DEVICE, "cpu"))
    far = 2**32 + 5  # needs the nonce's high word
    assert multiplier.rows([0, 1, far]) == [naive_row(TEST, b, index) for index in (0, 1, far)]


@pytest.mark.parametrize("rows", [3, 4, 7, 8, 33])
def test_the_root_is_rfc_6962_over_all_rows_in_their_order(rows: int) -> None:
    tiny = Profile("tiny", inner=40, width=6, openings=3)
    b = naive_b(tiny)
    expected = naive_root([naive_row(tiny, b, index) for index in range(rows)])
    assert compute(tiny, BEACON, DEVICE, "cpu", rows, backend=CpuBackend(workers=2)).root == expected


def test_chunked_float32_is_exact_at_the_largest_sums_there_can_be() -> None:
    wide = Profile("wide", inner=32_768, width=8, openings=1)
    challenge = Challenge(wide, BEACON, DEVICE, "cpu")
    multiplier = CpuBackend(workers=1).prepare(challenge)
    multiplier._b[:] = -128.0
    lowest = stream_rows(challenge.key_a, [0], wide.inner).astype(int)
    assert multiplier.rows([0]) == [(int(-128 * lowest.sum())).to_bytes(4, "little", signed=True) * 8]


def test_the_exact_row_of_a_dispute_is_the_provers_row() -> None:
    challenge = Challenge(PROFILES["light"], BEACON, DEVICE, "GPU-1")
    assert CpuBackend(workers=1).prepare(challenge).rows([12_345]) == [exact_row(challenge, 12_345)]


def test_golden_vector() -> None:
    computation = compute(TEST, BEACON, DEVICE, "cpu", 100, backend=CpuBackend(workers=2))
    challenge = computation.challenge
    assert challenge.key_a.hex() == "76779f1a32040630f60f8500632d0b17dee2adf6dc73face25c430c86c38175a"
    assert challenge.key_b.hex() == "0cb44e36ed750686f14cc0611fe720fab5aab66177dc3f3d6d9909d5280a3a41"
    assert computation.leaf_hashes[:32].hex() == "638cc9f75715e48900dd0e9d5b8b56dbcedbe0e4f2f772485197fccbef672ed9"
    assert computation.root.hex() == "84f0d860841d1dbc42a21e5d28ba5b6fc209637b6b71f1619119ca263fa9e230"
    proof = computation.open(OPEN_BEACON)
    assert [row.index for row in proof.opened] == [17, 8, 57, 43, 79, 98, 94, 83, 47, 76, 82, 18, 92, 14, 0, 75]
    assert sha256(proof.encoded()).hexdigest() == "e61b2539e6074176ce283f6ab3d8beb4e460ec331e26d7801699cacbe17459e1"


def test_indices_follow_the_rule_and_are_distinct() -> None:
    root = sha256(b"root").digest()
    drawn: list[int] = []
    for counter in range(1_000):
        digest = sha256(b"dccn/pog/v1/open" + root + OPEN_BEACON + struct.pack(">I", counter)).digest()
        index = int.from_bytes(digest, "big") % 17
        if index not in drawn:
            drawn.append(index)
    assert opened_indices(root, OPEN_BEACON, rows=17, openings=17) == drawn
    assert sorted(drawn) == list(range(17))


def test_every_profile_stays_within_the_exactness_that_the_verifier_needs() -> None:
    for profile in PROFILES.values():
        assert profile.inner <= INNER_MAX
        assert 128 * (2**31 - 2) * profile.inner < 2**53
        assert 128 * (2**31 - 2) * profile.width < 2**53
        assert 2 * profile.entry_max < 2**31 - 1, "c and c ± p must not both be in range"


def test_rates_and_work_are_floored_integers() -> None:
    assert operations_per_second(PROFILES["light"], rows=1_000, elapsed_ms=3) == 2 * 1_000 * 8_192 * 256 * 1_000 // 3
    assert work_micro_ankr_per_hour(10**12) == 1_000_000
    assert work_micro_ankr_per_hour(10**6 - 1) == 0
    assert median_rate([]) == 0
    assert median_rate([900, 5, 1, 2, 3, 4, 5, 6, 7]) == 4, "only the last eight count, lower median"
