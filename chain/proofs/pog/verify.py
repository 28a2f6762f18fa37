"""Checking a complete PoG proof without repeating the work (Freivalds 1977, row by row).

For a row c of C = A·B and a secret vector r: c·r ≡ A_i·(B·r) (mod p). B·r is computed once for all devices that answer
one beacon, so a device costs m regenerated rows of A, m paths and three small products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chain.crypto import merkle
from chain.errors import Malformed
from chain.proofs.pog.challenge import Challenge, key_b
from chain.proofs.pog.format import Commitment, Proof
from chain.proofs.pog.opening import opened_indices
from chain.proofs.pog.profiles import INNER_MAX, Profile, profile_named
from chain.proofs.pog.streams import stream_rows

P: Final = 2**31 - 1
ROUNDS: Final = 2
"""Two independent vectors: a wrong row passes with probability at most p^-2, about 2^-62."""

B_ROWS_AT_ONCE = 1_024
LIMB_BITS = 16

RandomBytes = Callable[[int], bytes]
"""`random_bytes(n)` gives n bytes; `os.urandom` outside tests."""


@dataclass(frozen=True, slots=True)
class PogVerdict:
    """`code` is None when the proof holds, else a registry code; `reason` is one sentence for people."""

    ok: bool
    rows_checked: int
    code: str | None = None
    reason: str = ""


class FleetVerifier:
    """Verifies every proof of one round: one profile, one beacon, one secret r.

    r must be drawn after the last commitment of the round was accepted, and never leave the verifier.
    """

    def __init__(self, profile: Profile, beacon: bytes, r: NDArray[np.int64]) -> None:
        """`r` is width x ROUNDS with entries in 0..p-1, as `draw_secret` gives it."""
        assert r.shape == (profile.width, ROUNDS) and profile.inner <= INNER_MAX
        self.profile = profile
        self.beacon = beacon
        self._r = r
        self._u = _fingerprint_of_b(profile, beacon, r).astype(np.float64)

    @classmethod
    def drawn(cls, profile: Profile, beacon: bytes, random_bytes: RandomBytes) -> FleetVerifier:
        """A verifier with a fresh secret."""
        return cls(profile, beacon, draw_secret(profile, random_bytes))

    def verify(
        self, proof: Proof, *, commitment: Commitment | None = None, open_beacon: bytes | None = None
    ) -> PogVerdict:
        """Check a proof; with `commitment` and `open_beacon` also that it opens what was committed, as the chain drew.

        Refuses with pog_malformed, pog_wrong_beacon, pog_wrong_indices, pog_wrong_path or pog_wrong_row; raises nothing
        for any Proof that `Proof.decode` returns.
        """
        refused = self._wrong_statement(proof, commitment, open_beacon) or _wrong_indices(proof, self.profile)
        if refused is not None:
            return refused
        for checked, row in enumerate(proof.opened):
            if not merkle.verify(proof.root, row.row, row.index, proof.rows, list(row.path)):
                reason = f"row {row.index} does not lead to the committed root"
                return PogVerdict(False, checked, "pog_wrong_path", reason)
        return self._check_rows(proof)

    def _wrong_statement(
        self, proof: Proof, commitment: Commitment | None, open_beacon: bytes | None
    ) -> PogVerdict | None:
        if proof.profile != self.profile.name:
            return _refused("pog_malformed", f"the proof is of profile {proof.profile}, not {self.profile.name}")
        if proof.beacon != self.beacon:
            return _refused("pog_wrong_beacon", f"the proof answers {proof.beacon.hex()}, not {self.beacon.hex()}")
        if commitment is not None:
            if (proof.device, proof.gpu, proof.profile) != (commitment.device, commitment.gpu, commitment.profile):
                return _refused("pog_wrong_row", "the proof is for another device, GPU or profile than the commitment")
            if (proof.rows, proof.root) != (commitment.rows, commitment.root):
                return _refused("pog_wrong_path", "the proof opens another root or number of rows than was committed")
        if open_beacon is not None and proof.open_beacon != open_beacon:
            return _refused("pog_wrong_indices", "the rows are opened on another beacon than the chain's")
        return None

    def _check_rows(self, proof: Proof) -> PogVerdict:
        c = np.frombuffer(b"".join(row.row for row in proof.opened), dtype="<i4").reshape(len(proof.opened), -1)
        c = c.astype(np.int64)
        a = stream_rows(proof.challenge.key_a, [row.index for row in proof.opened], self.profile.inner)
        # |A·u| <= 128 * (p-1) * K < 2^53: every partial sum is an exact float64
        expected = (a.astype(np.float64) @ self._u).astype(np.int64) % P
        in_range = np.abs(c).max(axis=1) <= self.profile.entry_max
        good = in_range & (_times_r(c, self._r) == expected).all(axis=1)
        if good.all():
            return PogVerdict(True, len(proof.opened))
        first = int(np.argmin(good))
        return PogVerdict(
            False, first + 1, "pog_wrong_row", f"row {proof.opened[first].index} is not the product of A and B"
        )


def verify_file(data: bytes, random_bytes: RandomBytes) -> PogVerdict:
    """Verify the bytes of one complete proof on its own, under the beacons that it names.

    Bytes that are no proof give the verdict of their code (malformed, non_canonical, too_large, pog_malformed).
    """
    try:
        proof = Proof.decode(data)
    except Malformed as error:
        return _refused(error.code, error.message)
    return FleetVerifier.drawn(profile_named(proof.profile), proof.beacon, random_bytes).verify(proof)


def draw_secret(profile: Profile, random_bytes: RandomBytes) -> NDArray[np.int64]:
    """width x ROUNDS uniform integers mod p: 31 random bits each, p itself drawn again."""
    wanted = profile.width * ROUNDS
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < wanted:
        words = np.frombuffer(random_bytes(4 * (wanted - len(drawn))), dtype="<u4").astype(np.int64) & P
        drawn = np.concatenate([drawn, words[words != P]])
    return drawn.reshape(profile.width, ROUNDS)


def exact_row(challenge: Challenge, index: int) -> bytes:
    """Row `index` of C in plain int64 arithmetic: what settles a dispute. Costs K·w multiplications."""
    profile = challenge.profile
    a = stream_rows(challenge.key_a, [index], profile.inner).astype(np.int64)
    c = np.zeros((1, profile.width), dtype=np.int64)
    for start in range(0, profile.inner, B_ROWS_AT_ONCE):
        stop = min(start + B_ROWS_AT_ONCE, profile.inner)
        c += a[:, start:stop] @ stream_rows(challenge.key_b, range(start, stop), profile.width).astype(np.int64)
    return c.astype("<i4").tobytes()


def _fingerprint_of_b(profile: Profile, beacon: bytes, r: NDArray[np.int64]) -> NDArray[np.int64]:
    """u = B·r mod p, K x ROUNDS; |B·r| <= 128 * p * w < 2^53 is exact in float64."""
    key = key_b(beacon)
    r_float = r.astype(np.float64)
    parts = []
    for start in range(0, profile.inner, B_ROWS_AT_ONCE):
        rows = range(start, min(start + B_ROWS_AT_ONCE, profile.inner))
        parts.append((stream_rows(key, rows, profile.width).astype(np.float64) @ r_float).astype(np.int64) % P)
    return np.concatenate(parts)


def _times_r(c: NDArray[np.int64], r: NDArray[np.int64]) -> NDArray[np.int64]:
    """c·r mod p by 16-bit limbs of r: |c| < 2^31, so each sum of up to 2^10 products stays below 2^57."""
    low = (c @ (r & 0xFFFF)) % P
    high = (c @ (r >> LIMB_BITS)) % P
    total: NDArray[np.int64] = (low + (high << LIMB_BITS)) % P
    return total


def _wrong_indices(proof: Proof, profile: Profile) -> PogVerdict | None:
    expected = opened_indices(proof.root, proof.open_beacon, proof.rows, profile.openings)
    if [row.index for row in proof.opened] == expected:
        return None
    return _refused("pog_wrong_indices", "the opened rows are not those that the second beacon draws, in its order")


def _refused(code: str, reason: str) -> PogVerdict:
    return PogVerdict(False, 0, code, reason)
