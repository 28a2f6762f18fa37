"""Which rows of a commitment must be shown."""

from __future__ import annotations

from hashlib import sha256

from chain.errors import Malformed


def opened_indices(root: bytes, open_beacon: bytes, rows: int, openings: int) -> list[int]:
    """`openings` distinct row indices below `rows`, drawn by a beacon that was unknown when `root` was committed.

    u256("dccn/pog/v1/open" ‖ root ‖ b2 ‖ u32be(counter)) mod n, counter from 0, repeats skipped, in order of first
    appearance (proofs.md, PoG v1, step 4). Malformed `pog_malformed` when there are fewer rows than openings.
    """
    if rows < openings:
        raise Malformed("pog_malformed", f"a commitment has at least {openings} rows, this one has {rows}")
    prefix = b"dccn/pog/v1/open" + root + open_beacon
    drawn: dict[int, None] = {}
    counter = 0
    while len(drawn) < openings:
        digest = sha256(prefix + counter.to_bytes(4, "big")).digest()
        drawn[int.from_bytes(digest, "big") % rows] = None
        counter += 1
    return list(drawn)
