"""Merkle-sum trees: every node commits to the sum below it, so a batch's total work cannot be claimed twice over.

Shape of RFC 6962. leaf = SHA-256(0x00 ‖ u128be(sum) ‖ data),
node = SHA-256(0x01 ‖ L ‖ u128be(sumL) ‖ R ‖ u128be(sumR)). A sum outside 0 … 2^128 - 1
anywhere in the tree is refused as an overflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from chain.errors import Refused

SUM_LIMIT = 1 << 128
EMPTY_ROOT = sha256(b"").digest()

Node = tuple[bytes, int]


class Leaf(NamedTuple):
    """`data` and what it adds to the sum."""

    sum: int
    data: bytes


def root(leaves: Sequence[Leaf]) -> Node:
    """Root hash and total sum; raises `tx_overflow` when the sum leaves its range."""
    if not leaves:
        return EMPTY_ROOT, 0
    level = [leaf_node(leaf) for leaf in leaves]
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


def proof(leaves: Sequence[Leaf], index: int) -> list[Node]:
    """The siblings (hash, sum) of leaf `index`, from leaf to root."""
    return proofs(leaves, [index])[0]


def proofs(leaves: Sequence[Leaf], indices: Sequence[int]) -> list[list[Node]]:
    """The paths of several leaves, hashing the tree once."""
    for index in indices:
        if not 0 <= index < len(leaves):
            raise IndexError(f"leaf {index} of {len(leaves)}")
    paths: list[list[Node]] = [[] for _ in indices]
    positions = list(indices)
    level = [leaf_node(leaf) for leaf in leaves]
    while len(level) > 1:
        for path, position in zip(paths, positions, strict=True):
            if position ^ 1 < len(level):
                path.append(level[position ^ 1])
        positions = [position >> 1 for position in positions]
        level = _next_level(level)
    return paths


def verify(root: bytes, total_sum: int, leaf: Leaf, index: int, count: int, path: Sequence[Node]) -> bool:
    """Whether `leaf` is number `index` of `count` under `root`, and the sums add up to `total_sum`."""
    return climb(leaf, index, count, path) == (root, total_sum)


def climb(leaf: Leaf, index: int, count: int, path: Sequence[Node]) -> Node | None:
    """The root hash and total that `path` leads to from leaf `index` of `count`; None for a path of another shape."""
    if not 0 <= index < count or not 0 <= leaf.sum < SUM_LIMIT:
        return None
    node, last, used = leaf_node(leaf), count - 1, 0
    while last:
        if index ^ 1 <= last:
            if used == len(path):
                return None
            sibling = path[used]
            if len(sibling[0]) != 32 or not 0 <= sibling[1] < SUM_LIMIT or node[1] + sibling[1] >= SUM_LIMIT:
                return None
            node = join(sibling, node) if index & 1 else join(node, sibling)
            used += 1
        index, last = index >> 1, last >> 1
    return node if used == len(path) else None


def leaf_node(leaf: Leaf) -> Node:
    """The leaf's hash and sum; raises `tx_overflow`."""
    if not 0 <= leaf.sum < SUM_LIMIT:
        raise Refused("tx_overflow", f"a leaf's sum {leaf.sum} is outside 0 to 2^128 - 1")
    return sha256(b"\x00" + leaf.sum.to_bytes(16, "big") + leaf.data).digest(), leaf.sum


def join(left: Node, right: Node) -> Node:
    """The parent of two nodes; raises `tx_overflow`."""
    total = left[1] + right[1]
    if total >= SUM_LIMIT:
        raise Refused("tx_overflow", f"the sum {total} of two nodes is outside 0 to 2^128 - 1")
    data = b"\x01" + left[0] + left[1].to_bytes(16, "big") + right[0] + right[1].to_bytes(16, "big")
    return sha256(data).digest(), total


def _next_level(level: list[Node]) -> list[Node]:
    parents = [join(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
    if len(level) & 1:
        parents.append(level[-1])
    return parents
