"""The state's sparse Merkle tree: fixed depth 20, updated in batches, proofs of presence and of absence.

bucket = first 20 bits of SHA-256(key); bucket hash = SHA-256(0x00 ‖ CBOR [[SHA-256(key), SHA-256(value)], …]) with the
entries sorted, 32 zero bytes when empty; node = SHA-256(0x01 ‖ L ‖ R), zero when both are zero. The root over a set of
entries does not depend on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

from chain.crypto.sparse_proof import (
    DEPTH,
    EMPTY,
    Entry,
    SparseProof,
    bucket_hash,
    bucket_index,
    node_hash,
    verify_sparse,
)

__all__ = [
    "DEPTH",
    "Bucket",
    "Entry",
    "SparseProof",
    "SparseTree",
    "bucket_hash",
    "bucket_index",
    "verify_sparse",
]

BUCKETS = 1 << DEPTH
_HASH_BYTES = 32
_EMPTY_PAIR = bytes(2 * _HASH_BYTES)

Bucket = tuple[Entry, ...]


class SparseTree:
    """The current tree. Node n has its children at 2n and 2n + 1, the root is 1, bucket b is leaf BUCKETS + b.

    All hashes lie in one array of 64 MiB, of which the system provides only the pages that keys touch. Keys and values
    are bytes; only their hashes are kept.
    """

    __slots__ = ("_buckets", "_nodes")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """The tree over `pairs` of distinct keys and their values."""
        self._nodes = mmap(-1, 2 * BUCKETS * _HASH_BYTES, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        self._buckets: dict[int, Bucket] = {}
        self.update(dict(pairs))

    @property
    def root(self) -> bytes:
        """32 bytes; all zero when the tree is empty."""
        return self._node(1)

    def update(self, changes: Mapping[bytes, bytes | None]) -> bytes:
        """Write every key with its value, None removes; returns the new root. Costs some 6 hashes per changed key."""
        hasher, buckets = sha256, self._buckets
        touched: dict[int, None] = {}
        for key, value in changes.items():
            hashed_key = hasher(key).digest()
            index = int.from_bytes(hashed_key[:3], "big") >> 4
            entries = buckets.get(index)
            if value is not None and (entries is None or (len(entries) == 1 and entries[0][0] == hashed_key)):
                buckets[index] = ((hashed_key, hasher(value).digest()),)
            else:
                buckets[index] = _written(entries or (), hashed_key, None if value is None else hasher(value).digest())
            touched[index] = None
        self._rehash(sorted(touched))
        return self.root

    def bucket(self, index: int) -> Bucket:
        """The entries (hash of key, hash of value) of bucket `index`, ascending, for the history."""
        return self._buckets.get(index, ())

    def prove(self, key: bytes) -> SparseProof:
        """The proof that `key` has its value, or that it has none, against `root`."""
        return self.prove_past(key, {})

    def prove_past(self, key: bytes, past_buckets: Mapping[int, Bucket]) -> SparseProof:
        """The proof against an earlier root.

        `past_buckets` holds the earlier entries of every bucket that changed since; cost is 20 hashes for each.
        """
        return self.prove_bucket(bucket_index(key), past_buckets)

    def prove_bucket(self, leaf: int, past_buckets: Mapping[int, Bucket]) -> SparseProof:
        """The same for a whole bucket, whatever its keys are."""
        overlay = self._past_nodes(past_buckets)
        siblings = []
        node = BUCKETS + leaf
        while node > 1:
            siblings.append(overlay.get(node ^ 1) or self._node(node ^ 1))
            node >>= 1
        return SparseProof(tuple(siblings), past_buckets[leaf] if leaf in past_buckets else self.bucket(leaf))

    def past_root(self, past_buckets: Mapping[int, Bucket]) -> bytes:
        """The root that the tree had with these earlier entries of every bucket that changed since."""
        return self._past_nodes(past_buckets).get(1) or self.root

    def _past_nodes(self, past_buckets: Mapping[int, Bucket]) -> dict[int, bytes]:
        """The earlier hashes of all nodes at and above changed buckets."""
        overlay = {BUCKETS + index: bucket_hash(entries) for index, entries in past_buckets.items()}
        parents = sorted({node >> 1 for node in overlay})
        while parents and parents[0]:
            for parent in parents:
                left = overlay.get(2 * parent) or self._node(2 * parent)
                right = overlay.get(2 * parent + 1) or self._node(2 * parent + 1)
                overlay[parent] = node_hash(left, right)
            parents = sorted({parent >> 1 for parent in parents})
        return overlay

    def _node(self, node: int) -> bytes:
        return self._nodes[node * _HASH_BYTES : (node + 1) * _HASH_BYTES]

    def _rehash(self, touched: list[int]) -> None:
        """Recompute the touched leaves and the nodes above them, level by level, each once."""
        hasher, nodes, buckets, prefix = sha256, self._nodes, self._buckets, b"\x01"
        may_be_empty = False
        for index in touched:
            entries = buckets[index]
            if not entries:
                del buckets[index]
                may_be_empty = True
            start = (BUCKETS + index) << 5
            nodes[start : start + 32] = bucket_hash(entries)
        # A node is known by where its children's pair of hashes starts: 64 times its number.
        starts = list(dict.fromkeys([(BUCKETS + index) >> 1 << 6 for index in touched]))
        while starts and starts[0]:
            pairs = [nodes[start : start + 64] for start in starts]
            if may_be_empty:
                digests = [EMPTY if pair == _EMPTY_PAIR else hasher(prefix + pair).digest() for pair in pairs]
            else:
                digests = [hasher(prefix + pair).digest() for pair in pairs]
            for start, digest in zip(starts, digests, strict=True):
                own = start >> 1
                nodes[own : own + 32] = digest
            starts = list(dict.fromkeys([start >> 7 << 6 for start in starts]))


def _written(entries: Bucket, hashed_key: bytes, hashed_value: bytes | None) -> Bucket:
    """The ascending entries with one put, replaced or removed."""
    others = [entry for entry in entries if entry[0] != hashed_key]
    return tuple(others if hashed_value is None else sorted([*others, (hashed_key, hashed_value)]))
