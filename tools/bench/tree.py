"""What the state's root costs per block, against nothing but its hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from chain.crypto.sparse import SparseTree
from tools.bench.measure import Row, interleaved

ACCOUNTS = 200_000
UPDATES = 5_000


def rows() -> Iterator[Row]:
    tree = SparseTree((key(number), b"value") for number in range(ACCOUNTS))
    changes = {key(number * 37 % ACCOUNTS): b"changed" for number in range(UPDATES)}
    # Each changed leaf hashes its key and value, its bucket, and some 13 nodes of its own below the shared top.
    hashes = len(changes) * 16
    block = b"\x01" * 65

    def bare() -> None:
        for _ in range(hashes):
            hashlib.sha256(block).digest()

    ours, limit = interleaved(lambda: tree.update(changes), bare)
    yield Row(f"app hash: {UPDATES} updates among {ACCOUNTS} keys", ours * 1_000, "ms CPU", aim=("<=", 40.0))
    yield Row("app hash against bare SHA-256", ours * 1_000, "ms CPU", f"{hashes} hashes, ms", limit * 1_000)
    yield Row("state proof", len(tree.prove(key(1)).encode()), "bytes", aim=("<=", 1_536))


def key(number: int) -> bytes:
    return b"account/%d" % number
