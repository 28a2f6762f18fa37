"""Published and obvious ways to fake a proof of compute; each is refused with its code."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from random import Random

import numpy as np
import pytest

from chain.crypto import merkle
from chain.errors import Malformed
from chain.proofs.pog.challenge import Challenge
from chain.proofs.pog.cpu import CpuBackend
from chain.proofs.pog.format import PROOF_MAX_BYTES, OpenedRow, Proof
from chain.proofs.pog.opening import opened_indices
from chain.proofs.pog.profiles import PROFILES
from chain.proofs.pog.prove import compute
from chain.proofs.pog.streams import stream_rows
from chain.proofs.pog.verify import FleetVerifier, P, PogVerdict, draw_secret, verify_file
from chain.wire import cbor

PROFILE = PROFILES["test"]
ROWS = 96
BEACON, OLD_BEACON, OPEN_BEACON = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
DEVICE, OTHER_DEVICE, GPU = b"\x0a" * 32, b"\x0b" * 32, "GPU-5f0c"

IntMatrix = np.ndarray


def operands(beacon: bytes = BEACON, device: bytes = DEVICE) -> tuple[IntMatrix, IntMatrix]:
    challenge = Challenge(PROFILE, beacon, device, GPU)
    a = stream_rows(challenge.key_a, range(ROWS), PROFILE.inner).astype(np.int64)
    return a, stream_rows(challenge.key_b, range(PROFILE.inner), PROFILE.width).astype(np.int64)


@pytest.fixture(scope="module")
def a() -> IntMatrix:
    return operands()[0]


@pytest.fixture(scope="module")
def b() -> IntMatrix:
    return operands()[1]


@pytest.fixture(scope="module")
def verifier() -> FleetVerifier:
    return FleetVerifier.drawn(PROFILE, BEACON, os.urandom)


def proof_of(rows: Iterable[bytes], *, leaves: list[bytes] | None = None) -> Proof:
    """A file that commits to these rows and opens what it must: honest in form, whatever the rows are."""
    shown = list(rows)
    committed = shown if leaves is None else leaves
    root = merkle.root(committed)
    indices = opened_indices(root, OPEN_BEACON, len(committed), PROFILE.openings)
    opened = tuple(OpenedRow(i, shown[i], tuple(merkle.proof(committed, i))) for i in indices)
    return Proof("test", BEACON, DEVICE, GPU, len(committed), root, OPEN_BEACON, opened)


def rows_of(c: IntMatrix) -> list[bytes]:
    return [row.tobytes() for row in c.astype("<i4")]


def test_an_honest_proof_passes_and_survives_its_file(a: IntMatrix, b: IntMatrix, verifier: FleetVerifier) -> None:
    honest = proof_of(rows_of(a @ b))
    assert verifier.verify(honest) == PogVerdict(True, PROFILE.openings)
    assert verify_file(honest.encoded(), os.urandom).ok
    product = compute(PROFILE, BEACON, DEVICE, GPU, ROWS, backend=CpuBackend(workers=2))
    assert product.open(OPEN_BEACON) == honest


def test_one_wrong_entry_is_found_wherever_it_is(a: IntMatrix, b: IntMatrix, verifier: FleetVerifier) -> None:
    c, random = a @ b, Random(7)
    for _ in range(40):
        tampered = c.copy()
        tampered[:, random.randrange(PROFILE.width)] += random.choice([-1, 1, 1 << 16])
        assert verifier.verify(proof_of(rows_of(tampered))).code == "pog_wrong_row"


def test_a_single_wrong_row_among_the_opened_is_found(a: IntMatrix, b: IntMatrix, verifier: FleetVerifier) -> None:
    c = a @ b
    seen = 0
    for row in range(ROWS):
        tampered = c.copy()
        tampered[row, 5] ^= 1
        proof = proof_of(rows_of(tampered))
        opened = row in [shown.index for shown in proof.opened]
        assert verifier.verify(proof).ok is not opened
        seen += opened
    assert seen > 0


@pytest.mark.parametrize("residue", [P, -P])
def test_adding_the_modulus_is_out_of_range(a: IntMatrix, b: IntMatrix, verifier: FleetVerifier, residue: int) -> None:
    """c and c ± p agree modulo p; only the range tells them apart."""
    c = a @ b
    c[:, 3] += np.where((c[:, 3] < 0) == (residue > 0), residue, 0)
    assert (np.abs(c) < 2**31).all(), "the forged entries must fit an int32 for the attack to be worth anything"
    assert verifier.verify(proof_of(rows_of(c))).code == "pog_wrong_row"


def fp16(a: IntMatrix, b: IntMatrix) -> IntMatrix:
    return (a @ b / 64).astype(np.float16).astype(np.float64) * 64


def fp8_accumulation(a: IntMatrix, b: IntMatrix) -> IntMatrix:
    """Sums that keep 14 bits, as some FP8 tensor cores accumulate."""
    return (a @ b) // 1_024 * 1_024


def hankel(a: IntMatrix, b: IntMatrix) -> IntMatrix:
    """The cheap matrix of a published GPU proof: A[i, k] = f(i + k) makes C computable in O(n^2) without a GPU."""
    series = np.concatenate([a[0], a[1]])
    return np.stack([series[i : i + PROFILE.inner] for i in range(ROWS)]) @ b


def drop_one_percent_of_k(a: IntMatrix, b: IntMatrix) -> IntMatrix:
    kept = PROFILE.inner - PROFILE.inner // 100
    return a[:, :kept] @ b[:kept]


SHORTCUTS: dict[str, Callable[[IntMatrix, IntMatrix], IntMatrix]] = {
    "zeros": lambda a, b: np.zeros((ROWS, PROFILE.width)),
    "the other device's rows": lambda a, b: operands(device=OTHER_DEVICE)[0] @ b,
    "the old beacon's matrices": lambda a, b: np.matmul(*operands(beacon=OLD_BEACON)),
    "the old beacon's A": lambda a, b: operands(beacon=OLD_BEACON)[0] @ b,
    "1 % of K dropped": drop_one_percent_of_k,
    "results rounded to fp16": fp16,
    "fp8-like accumulation": fp8_accumulation,
    "6-bit operands": lambda a, b: ((a >> 2) @ (b >> 2)) << 4,
    "Hankel structure": hankel,
    "one row for all": lambda a, b: np.repeat(a[:1] @ b, ROWS, axis=0),
    "rank one": lambda a, b: np.outer(a.sum(axis=1), b.sum(axis=0)) // PROFILE.inner,
    "rows swapped in pairs": lambda a, b: (a @ b)[np.arange(ROWS) ^ 1],
    "sign flipped": lambda a, b: -(a @ b),
    "unsigned bytes": lambda a, b: (a & 0xFF) @ b,
    "big-endian rows": lambda a, b: (a @ b).astype(">i4").view("<i4"),
}


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_no_row_of_a_shortcut_passes(a: IntMatrix, b: IntMatrix, verifier: FleetVerifier, shortcut: str) -> None:
    forged = proof_of(rows_of(SHORTCUTS[shortcut](a, b)))
    verdict = verifier.verify(forged)
    assert (verdict.ok, verdict.code, verdict.rows_checked) == (False, "pog_wrong_row", 1)


def test_skipping_one_row_in_four_survives_about_as_rarely_as_the_documents_say(
    a: IntMatrix, b: IntMatrix, verifier: FleetVerifier
) -> None:
    """(1 - 1/4)^16 = 1 % for this profile; (1 - 1/4)^64 = 1e-8 for `standard`."""
    c = a @ b
    survived = 0
    for seed in range(60):
        lazy = c.copy()
        lazy[Random(seed).sample(range(ROWS), ROWS // 4)] = seed
        survived += verifier.verify(proof_of(rows_of(lazy))).ok
    assert survived <= 5


def test_another_devices_label_on_honest_rows_is_refused(a: IntMatrix, b: IntMatrix, verifier: FleetVerifier) -> None:
    honest = proof_of(rows_of(a @ b))
    assert verifier.verify(replace(honest, device=OTHER_DEVICE)).code == "pog_wrong_row"
    assert verifier.verify(replace(honest, gpu="GPU-other")).code == "pog_wrong_row"


def test_a_proof_of_the_last_beacon_is_refused_by_name(a: IntMatrix, b: IntMatrix, verifier: FleetVerifier) -> None:
    old = np.matmul(*operands(beacon=OLD_BEACON))
    replayed = replace(proof_of(rows_of(old)), beacon=OLD_BEACON)
    assert FleetVerifier.drawn(PROFILE, OLD_BEACON, os.urandom).verify(replayed).ok
    assert verifier.verify(replayed).code == "pog_wrong_beacon"


def test_choosing_the_rows_to_open_is_refused(a: IntMatrix, b: IntMatrix, verifier: FleetVerifier) -> None:
    honest = proof_of(rows_of(a @ b))
    reordered = replace(honest, opened=honest.opened[::-1])
    repeated = replace(honest, opened=(honest.opened[0],) * PROFILE.openings)
    favourable = replace(honest, open_beacon=b"\x04" * 32)
    for proof in (reordered, repeated, favourable):
        assert verifier.verify(proof).code == "pog_wrong_indices"


def test_grinding_the_second_beacon_is_refused_when_the_chains_is_known(
    a: IntMatrix, b: IntMatrix, verifier: FleetVerifier
) -> None:
    honest = proof_of(rows_of(a @ b))
    commitment = compute(PROFILE, BEACON, DEVICE, GPU, ROWS, backend=CpuBackend(workers=1)).commitment(9)
    assert verifier.verify(honest, commitment=commitment, open_beacon=OPEN_BEACON).ok
    assert verifier.verify(honest, open_beacon=b"\x05" * 32).code == "pog_wrong_indices"


def test_opening_another_tree_than_the_committed_one_is_refused(
    a: IntMatrix, b: IntMatrix, verifier: FleetVerifier
) -> None:
    honest = proof_of(rows_of(a @ b))
    commitment = compute(PROFILE, BEACON, DEVICE, GPU, ROWS + 1, backend=CpuBackend(workers=1)).commitment(9)
    assert verifier.verify(honest, commitment=commitment).code == "pog_wrong_path"
    elsewhere = replace(commitment, rows=ROWS, root=honest.root, device=OTHER_DEVICE)
    assert verifier.verify(honest, commitment=elsewhere).code == "pog_wrong_row"


def test_rows_that_were_computed_after_the_commitment_are_refused(
    a: IntMatrix, b: IntMatrix, verifier: FleetVerifier
) -> None:
    late = proof_of(rows_of(a @ b), leaves=[bytes(PROFILE.row_bytes)] * ROWS)
    assert verifier.verify(late).code == "pog_wrong_path"


def test_a_tree_padded_with_its_last_leaf_claims_no_more_rows(
    a: IntMatrix, b: IntMatrix, verifier: FleetVerifier
) -> None:
    """CVE-2012-2459: where an odd node is paired with itself, n rows and n + 1 rows have one root."""
    rows = rows_of(a @ b)[:95]
    padded = [*rows, rows[-1]]
    assert merkle.root(rows) != merkle.root(padded)
    root = merkle.root(rows)
    for open_beacon in (number.to_bytes(32, "big") for number in count()):
        indices = opened_indices(root, open_beacon, 96, PROFILE.openings)
        if 95 in indices:
            break
    opened = tuple(OpenedRow(i, padded[i], tuple(merkle.proof(padded, i))) for i in indices)
    inflated = Proof("test", BEACON, DEVICE, GPU, 96, root, open_beacon, opened)
    assert verifier.verify(inflated).code == "pog_wrong_path"


def test_claiming_more_rows_than_the_tree_has_is_refused(a: IntMatrix, b: IntMatrix, verifier: FleetVerifier) -> None:
    honest = proof_of(rows_of(a @ b))
    assert verifier.verify(replace(honest, rows=ROWS * 1_000)).code in {"pog_wrong_indices", "pog_wrong_path"}


def test_fewer_rows_than_are_opened_is_no_proof() -> None:
    with pytest.raises(Malformed) as refused:
        compute(PROFILE, BEACON, DEVICE, GPU, PROFILE.openings - 1, backend=CpuBackend(workers=1))
    assert refused.value.code == "pog_malformed"
    body = proof_of([bytes(PROFILE.row_bytes)] * ROWS).body()
    body[5] = PROFILE.openings - 1
    assert verify_file(cbor.encode(body), os.urandom).code == "pog_malformed"


def set_item(at: int, value: object) -> Callable[[list[object]], object]:
    def change(body: list[object]) -> object:
        body[at] = value
        return body

    return change


def edit_opening(change: Callable[[list[object]], None]) -> Callable[[list[object]], object]:
    def edit(body: list[object]) -> object:
        change(body[8][0])  # type: ignore[index]
        return body

    return edit


MALFORMED: dict[str, Callable[[list[object]], object]] = {
    "another tag": set_item(0, "pog2"),
    "an unknown profile": set_item(1, "tiny"),
    "a profile that is no text": set_item(1, 7),
    "a short beacon": set_item(2, b"\x01" * 31),
    "a device in hex": set_item(3, DEVICE.hex()),
    "no GPU name": set_item(4, ""),
    "a GPU name without end": set_item(4, "G" * 97),
    "rows as a boolean": set_item(5, True),
    "negative rows": set_item(5, -96),
    "rows beyond any card": set_item(5, 2**32 + 1),
    "a short root": set_item(6, b""),
    "no second beacon": set_item(7, None),
    "openings as a map": set_item(8, {}),
    "nothing opened": set_item(8, []),
    "one opening too few": lambda body: [*body[:8], body[8][:-1]],  # type: ignore[index]
    "one opening too many": lambda body: [*body[:8], [*body[8], body[8][0]]],  # type: ignore[misc, index]
    "an item too many": lambda body: [*body, 0],
    "a map": lambda body: {"pog1": body},
    "an opening that is a number": set_item(8, [1] * 16),
    "a row that is too short": edit_opening(lambda opening: opening.__setitem__(1, bytes(252))),
    "a row that is too long": edit_opening(lambda opening: opening.__setitem__(1, bytes(260))),
    "an index that is negative": edit_opening(lambda opening: opening.__setitem__(0, -1)),
    "an index past the rows": edit_opening(lambda opening: opening.__setitem__(0, ROWS)),
    "a path of texts": edit_opening(lambda opening: opening.__setitem__(2, ["00"])),
    "a path without end": edit_opening(lambda opening: opening.__setitem__(2, [bytes(32)] * 33)),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_file_that_is_no_proof_of_its_profile_is_malformed(kind: str) -> None:
    body = proof_of([bytes(PROFILE.row_bytes)] * ROWS).body()
    assert verify_file(cbor.encode(MALFORMED[kind](body)), os.urandom).code == "pog_malformed"


def test_broken_bytes_are_refused_with_their_own_codes(a: IntMatrix, b: IntMatrix) -> None:
    good = proof_of(rows_of(a @ b)).encoded()
    assert verify_file(good[:-1], os.urandom).code == "malformed"
    assert verify_file(good + b"\x00", os.urandom).code in {"malformed", "non_canonical"}
    assert verify_file(b"", os.urandom).code == "malformed"
    assert verify_file(good + bytes(PROOF_MAX_BYTES), os.urandom).code == "too_large"
    long_form = good.replace(b"\x18\x60\x58\x20", b"\x19\x00\x60\x58\x20", 1)  # n = 96 in three bytes instead of two
    assert long_form != good
    assert verify_file(long_form, os.urandom).code == "non_canonical"


def test_random_bytes_and_random_bit_flips_never_pass_and_never_crash(a: IntMatrix, b: IntMatrix) -> None:
    random = Random(11)
    good = proof_of(rows_of(a @ b)).encoded()
    for _ in range(60):
        assert not verify_file(random.randbytes(random.randrange(400)), os.urandom).ok
        flipped = bytearray(good)
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
        verdict = verify_file(bytes(flipped), os.urandom)
        assert not verdict.ok and verdict.code is not None


def test_a_row_must_hold_in_both_rounds(a: IntMatrix, b: IntMatrix) -> None:
    """An all-zero vector lets everything pass; the other round alone must find the forgery."""
    wrong = proof_of(rows_of(a @ b + 1))
    for blind in (0, 1):
        r = draw_secret(PROFILE, os.urandom)
        r[:, blind] = 0
        assert FleetVerifier(PROFILE, BEACON, r).verify(wrong).code == "pog_wrong_row"


def test_the_verifiers_secret_is_uniform_and_fresh() -> None:
    words = iter([P, 2**31, 5] + [7] * 4_096)  # p itself is drawn again; 2^31 is 0 in 31 bits
    drawn = FleetVerifier.drawn(
        PROFILE, BEACON, lambda size: b"".join(next(words).to_bytes(4, "little") for _ in range(size // 4))
    )
    assert drawn._r.flatten()[:3].tolist() == [0, 5, 7]
    first, second = (FleetVerifier.drawn(PROFILE, BEACON, os.urandom) for _ in range(2))
    assert (first._r != second._r).any()
