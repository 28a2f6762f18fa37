"""A reward epoch's records behind one Merkle-sum root, and the path that shows a record to be among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chain.crypto import merkle_sum
from chain.crypto.merkle_sum import Leaf
from chain.errors import Malformed, Refused
from chain.wire.bodies import BatchEntry, ProofBatch

BATCH_KIND = "work"
PATH_MAX = 64


@dataclass(frozen=True, slots=True)
class BatchLeaf:
    """One accepted record: `raw` is its whole COSE_Sign1, `work` what it adds to the batch (micro-ANKR per hour)."""

    device: bytes
    chain: bytes
    seq: int
    work: int
    raw: bytes

    @property
    def order(self) -> tuple[bytes, bytes, int]:
        """Leaves ascend by this, so that a record counted twice would stand beside itself."""
        return self.device, self.chain, self.seq


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a record stands in a batch; `path` holds (hash, sum) of the siblings from leaf to root."""

    root: bytes
    count: int
    sum: int
    index: int
    leaf_sum: int
    path: tuple[tuple[bytes, int], ...]

    def holds(self, raw: bytes) -> bool:
        """Whether this record (its whole COSE_Sign1) is that leaf, and the batch's sum contains its share."""
        leaf = Leaf(self.leaf_sum, raw)
        return merkle_sum.verify(self.root, self.sum, leaf, self.index, self.count, self.path)

    def document(self) -> dict[str, object]:
        """For JSON: hashes in hex, sums as decimal strings since they may pass 2^53."""
        path = [[sibling.hex(), str(total)] for sibling, total in self.path]
        sums = {"sum": str(self.sum), "leaf_sum": str(self.leaf_sum)}
        return {"root": self.root.hex(), "count": self.count, "index": self.index, **sums, "path": path}

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Inclusion:
        """The reverse; members besides these are ignored. Malformed `malformed` for anything else."""
        try:
            path = document["path"]
            if not isinstance(path, list) or len(path) > PATH_MAX:
                raise ValueError(f"path is not a list of at most {PATH_MAX} items")
            return cls(
                root=bytes.fromhex(str(document["root"])),
                count=int(str(document["count"])),
                sum=int(str(document["sum"])),
                index=int(str(document["index"])),
                leaf_sum=int(str(document["leaf_sum"])),
                path=tuple((bytes.fromhex(sibling), int(total)) for sibling, total in path),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Malformed("malformed", f"not an inclusion document: {error}") from None


@dataclass(frozen=True, slots=True)
class Batch:
    """Sorted leaves with their root and total work."""

    leaves: tuple[BatchLeaf, ...]
    root: bytes
    sum: int

    @property
    def count(self) -> int:
        return len(self.leaves)

    @property
    def size_bytes(self) -> int:
        """Size of all records together."""
        return sum(len(leaf.raw) for leaf in self.leaves)

    def inclusion(self, index: int) -> Inclusion:
        return self.inclusions([index])[0]

    def inclusions(self, indices: Sequence[int]) -> list[Inclusion]:
        """Paths of several leaves; the tree is hashed once."""
        paths = merkle_sum.proofs(_sum_leaves(self.leaves), indices)
        return [
            Inclusion(self.root, self.count, self.sum, index, self.leaves[index].work, tuple(path))
            for index, path in zip(indices, paths, strict=True)
        ]

    def proof_batch(self, hub: bytes, reward_epoch: int, entries: Iterable[BatchEntry]) -> ProofBatch:
        """The transaction's content. Refused `proof_invalid` unless the entries' work adds up to the leaves'."""
        ascending = tuple(sorted(entries, key=lambda entry: entry.owner))
        claimed = sum(entry.work for entry in ascending)
        if claimed != self.sum:
            raise Refused("proof_invalid", f"the entries claim work {claimed}, the leaves hold {self.sum}")
        return ProofBatch(
            hub, BATCH_KIND, reward_epoch, self.root, self.count, self.size_bytes, self.sum, None, ascending
        )


def build_batch(leaves: Iterable[BatchLeaf]) -> Batch:
    """Sort and hash. Refused `record_replay` when a (device, chain, seq) comes twice, `tx_overflow` past 2^128."""
    ordered = tuple(sorted(leaves, key=lambda leaf: leaf.order))
    for left, right in pairwise(ordered):
        if left.order == right.order:
            raise Refused("record_replay", f"record {left.seq} of device {left.device.hex()} is in the batch twice")
    root, total = merkle_sum.root(_sum_leaves(ordered))
    return Batch(ordered, root, total)


def share_out(work: int, leaves: int) -> list[int]:
    """`work` over so many leaves in nearly equal parts that add up exactly; the first ones carry the remainder."""
    share, remainder = divmod(work, leaves)
    return [share + 1] * remainder + [share] * (leaves - remainder)


def _sum_leaves(leaves: Sequence[BatchLeaf]) -> list[Leaf]:
    return [Leaf(leaf.work, leaf.raw) for leaf in leaves]
