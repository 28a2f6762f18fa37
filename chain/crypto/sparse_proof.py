"""Proofs against the state's sparse Merkle tree, for verifiers that hold no tree: a few kilobytes, no other imports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

import cbor2

from chain.errors import Malformed

DEPTH = 20
EMPTY = bytes(32)
MAX_PROOF_BYTES = 1 << 16

_PAIR, _HASH = b"\x82", b"\x58\x20"  # CBOR: an array of two, a string of 32 bytes
_ONE_ENTRY = b"\x00\x81" + _PAIR + _HASH  # most buckets hold one entry

Entry = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class SparseProof:
    """The 20 sibling hashes from leaf to root, and all entries (SHA-256(key), SHA-256(value)) of the key's bucket."""

    siblings: tuple[bytes, ...]
    bucket: tuple[Entry, ...]

    def encode(self) -> bytes:
        """Canonical CBOR `[[20 hashes], [[h(key), h(value)], …]]`."""
        return cbor2.dumps([list(self.siblings), [list(entry) for entry in self.bucket]])

    @classmethod
    def decode(cls, data: bytes) -> SparseProof:
        """Raises `too_large`, `malformed` or `non_canonical`."""
        if len(data) > MAX_PROOF_BYTES:
            raise Malformed("too_large", f"a state proof of {len(data)} bytes, the limit is {MAX_PROOF_BYTES}")
        try:
            value = cbor2.loads(data, max_depth=4, allow_indefinite=False)
        except (cbor2.CBORDecodeError, UnicodeError) as error:
            raise Malformed("malformed", f"not a state proof: {error}") from None
        if not _is_proof(value):
            raise Malformed("malformed", "a state proof is [[20 hashes], [[h(key), h(value)], …]], hashes of 32 bytes")
        proof = cls(tuple(value[0]), tuple((key, content) for key, content in value[1]))
        if proof.encode() != data:
            raise Malformed("non_canonical", "the state proof is not the canonical encoding of its value")
        return proof

    def root(self, key: bytes) -> bytes:
        """The root that this proof leads to from `key`'s bucket."""
        return self.root_from(bucket_index(key))

    def root_from(self, index: int) -> bytes:
        """The root that this proof leads to from bucket `index`."""
        node = bucket_hash(self.bucket)
        for sibling in self.siblings:
            node = node_hash(sibling, node) if index & 1 else node_hash(node, sibling)
            index >>= 1
        return node


def verify_sparse(root: bytes, key: bytes, value: bytes | None, proof: SparseProof) -> bool:
    """Whether under `root` the key has this value, or with None has no value at all."""
    hashed_key = sha256(key).digest()
    if len(proof.siblings) != DEPTH or not _in_order(proof.bucket) or proof.root(key) != root:
        return False
    found = next((content for entry, content in proof.bucket if entry == hashed_key), None)
    return found == (None if value is None else sha256(value).digest())


def bucket_index(key: bytes) -> int:
    """The first 20 bits of SHA-256(key)."""
    return int.from_bytes(sha256(key).digest()[:3], "big") >> 4


def bucket_hash(entries: Sequence[Entry]) -> bytes:
    """SHA-256(0x00 ‖ canonical CBOR of the ascending entries), zero when there are none."""
    if not entries:
        return EMPTY
    if len(entries) == 1:
        return sha256(_ONE_ENTRY + entries[0][0] + _HASH + entries[0][1]).digest()
    parts = [b"\x00", _array_header(len(entries))]
    for key, value in entries:
        parts += (_PAIR, _HASH, key, _HASH, value)
    return sha256(b"".join(parts)).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right), zero when both are zero."""
    return EMPTY if left == right == EMPTY else sha256(b"\x01" + left + right).digest()


def _array_header(length: int) -> bytes:
    if length < 24:
        return bytes((0x80 | length,))
    return b"\x98" + bytes((length,)) if length < 256 else b"\x99" + length.to_bytes(2, "big")


def _in_order(entries: Sequence[Entry]) -> bool:
    return all(left[0] < right[0] for left, right in pairwise(entries))


def _is_proof(value: object) -> bool:
    match value:
        case [[*siblings], [*entries]] if len(siblings) == DEPTH and all(map(_is_hash, siblings)):
            return all(
                type(entry) is list and len(entry) == 2 and _is_hash(entry[0]) and _is_hash(entry[1])
                for entry in entries
            )
    return False


def _is_hash(value: object) -> bool:
    return type(value) is bytes and len(value) == 32
