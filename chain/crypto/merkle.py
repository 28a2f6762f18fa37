"""Merkle trees in the shape of RFC 6962: what CometBFT uses for headers, transactions, commits and part sets.

leaf = SHA-256(0x00 ‖ leaf), node = SHA-256(0x01 ‖ left ‖ right), the empty tree is SHA-256(""). Pairing level by level
and carrying an odd last node up gives exactly the RFC's recursive split at the largest power of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The 32-byte root over the leaves in their order."""
    return root_of_hashes([leaf_hash(leaf) for leaf in leaves])


def proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The sibling hashes of leaf `index`, from leaf to root (CometBFT calls them aunts)."""
    return proof_of_hashes([leaf_hash(leaf) for leaf in leaves], index)


def verify(root: bytes, leaf: bytes, index: int, total: int, path: Sequence[bytes]) -> bool:
    """Whether `leaf` is number `index` of the `total` leaves under `root`."""
    return verify_hash(root, leaf_hash(leaf), index, total, path)


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """The root over leaves that are hashed already."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


def proof_of_hashes(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The path of leaf `index` over leaves that are hashed already."""
    return proofs_of_hashes(hashes, [index])[0]


def proofs_of_hashes(hashes: Sequence[bytes], indices: Sequence[int]) -> list[list[bytes]]:
    """The paths of several leaves, hashing the tree once."""
    for index in indices:
        if not 0 <= index < len(hashes):
            raise IndexError(f"leaf {index} of {len(hashes)}")
    paths: list[list[bytes]] = [[] for _ in indices]
    positions = list(indices)
    level = list(hashes)
    while len(level) > 1:
        for path, position in zip(paths, positions, strict=True):
            if position ^ 1 < len(level):
                path.append(level[position ^ 1])
        positions = [position >> 1 for position in positions]
        level = _next_level(level)
    return paths


def verify_hash(root: bytes, hashed_leaf: bytes, index: int, total: int, path: Sequence[bytes]) -> bool:
    """`verify` for a leaf that is hashed already."""
    if not 0 <= index < total:
        return False
    node, last, used = hashed_leaf, total - 1, 0
    while last:
        if index ^ 1 <= last:
            if used == len(path) or len(path[used]) != 32:
                return False
            sibling = path[used]
            node = node_hash(sibling, node) if index & 1 else node_hash(node, sibling)
            used += 1
        index, last = index >> 1, last >> 1
    return used == len(path) and node == root


def _next_level(level: list[bytes]) -> list[bytes]:
    hasher = sha256
    parents = [hasher(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
    if len(level) & 1:
        parents.append(level[-1])
    return parents
