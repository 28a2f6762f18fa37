"""How many rows this machine can commit to within a challenge window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chain.crypto import merkle
from chain.proofs.pog.backend import Backend
from chain.proofs.pog.challenge import Challenge
from chain.proofs.pog.profiles import ROWS_MAX, Profile
from chain.proofs.pog.prove import split_hashes


@dataclass(frozen=True, slots=True)
class Speed:
    """`setup_s` is spent once per challenge (B); after it `rows_per_s` rows are computed, hashed and treed."""

    profile: Profile
    setup_s: float
    rows_per_s: float

    def rows_within(self, seconds: float) -> int:
        """Rows that fit into `seconds`, at least the profile's openings: fewer cannot be proven at all."""
        rows = int(max(0.0, seconds - self.setup_s) * self.rows_per_s)
        return min(max(rows, self.profile.openings), ROWS_MAX)


def rows_for_window(speed: Speed, window_ms: int) -> int:
    """Rows for half the window: the other half is for the network and for neighbours on the same machine."""
    return speed.rows_within(window_ms / 2_000)


def measure(challenge: Challenge, backend: Backend, seconds: float, clock: Callable[[], float]) -> Speed:
    """Compute rows of `challenge` for about `seconds` (at least one block); `clock` gives monotonic seconds."""
    start = clock()
    multiplier = backend.prepare(challenge)
    multiplier.leaf_hashes(0, challenge.profile.openings)  # first touch: pages, BLAS threads
    ready = clock()
    hashes = bytearray()
    done = 0
    while done == 0 or clock() - ready < seconds:
        hashes += multiplier.leaf_hashes(done, multiplier.block_rows)
        done += multiplier.block_rows
    merkle.root_of_hashes(split_hashes(hashes))
    return Speed(challenge.profile, ready - start, done / max(clock() - ready, 1e-9))
