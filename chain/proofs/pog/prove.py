"""Answering a PoG challenge: compute, commit, open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chain.crypto import merkle
from chain.errors import Malformed, Refused
from chain.proofs.pog.backend import Backend, Multiplier
from chain.proofs.pog.challenge import Challenge
from chain.proofs.pog.format import Commitment, OpenedRow, Proof
from chain.proofs.pog.opening import opened_indices
from chain.proofs.pog.profiles import ROWS_MAX, Profile

Progress = Callable[[int, int], None]
"""Called with (rows done, rows asked for) after every block."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Stop computing when `clock()` reaches `at_s`; both count seconds of the same monotonic clock."""

    at_s: float
    clock: Callable[[], float]

    def passed(self) -> bool:
        return self.clock() >= self.at_s


@dataclass(frozen=True, slots=True)
class Computation:
    """What is kept between commitment and opening: 32 bytes a row, not the rows. `root` is over `leaf_hashes`."""

    challenge: Challenge
    rows: int
    root: bytes
    leaf_hashes: bytes
    multiplier: Multiplier

    def commitment(self, challenge_height: int) -> Commitment:
        """What the device signs and sends before the second beacon exists."""
        c = self.challenge
        return Commitment(c.device, c.gpu, c.profile.name, self.rows, self.root, challenge_height)

    def open(self, open_beacon: bytes) -> Proof:
        """The complete proof: the rows that `open_beacon` draws are computed again and shown with their paths."""
        c = self.challenge
        indices = opened_indices(self.root, open_beacon, self.rows, c.profile.openings)
        rows = self.multiplier.rows(indices)
        paths = merkle.proofs_of_hashes(split_hashes(self.leaf_hashes), indices)
        opened = tuple(OpenedRow(i, row, tuple(path)) for i, row, path in zip(indices, rows, paths, strict=True))
        return Proof(c.profile.name, c.beacon, c.device, c.gpu, self.rows, self.root, open_beacon, opened)


def compute(
    profile: Profile,
    beacon: bytes,
    device: bytes,
    gpu: str,
    rows: int,
    progress: Progress | None = None,
    *,
    backend: Backend,
    deadline: Deadline | None = None,
) -> Computation:
    """Compute `rows` rows of C, or as many as a `deadline` allows, and hash them into a tree.

    Memory: B, one block of rows, and 32 bytes per row (some 200 for a moment, while the tree is built). Malformed
    `pog_malformed` for fewer rows than the profile opens or more than ROWS_MAX; Refused `pog_late` when the deadline
    leaves too few.
    """
    challenge = Challenge(profile, beacon, device, gpu)
    openings = profile.openings
    if not openings <= rows <= ROWS_MAX:
        raise Malformed("pog_malformed", f"profile {profile.name} takes {openings} to {ROWS_MAX} rows, not {rows}")
    multiplier = backend.prepare(challenge)
    hashes = bytearray()
    done = 0
    while done < rows and not (deadline is not None and deadline.passed()):
        count = min(multiplier.block_rows, rows - done)
        hashes += multiplier.leaf_hashes(done, count)
        done += count
        if progress is not None:
            progress(done, rows)
    if done < openings:
        raise Refused("pog_late", f"only {done} of at least {openings} rows were computed before the deadline")
    root = merkle.root_of_hashes(split_hashes(hashes))
    return Computation(challenge, done, root, bytes(hashes), multiplier)


def split_hashes(hashes: bytes | bytearray) -> list[bytes]:
    """Concatenated 32-byte hashes as a list."""
    return [bytes(hashes[at : at + 32]) for at in range(0, len(hashes), 32)]
