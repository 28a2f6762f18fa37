"""The state with its tree and its past: what FinalizeBlock stages, what Commit makes durable, what queries prove.

The tree holds the newest state, staged or committed; earlier heights are reached by reverse diffs. One store
transaction carries state, diff, the tables beside the tree, height, time and app hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from chain.application import history
from chain.application.store import StateStore, height_key
from chain.crypto.sparse import Bucket, SparseTree
from chain.crypto.sparse_proof import SparseProof, bucket_index
from chain.errors import Faulty, Refused

Changes = history.Diff


@dataclass(frozen=True, slots=True)
class Staged:
    """A finalized block that is not committed yet."""

    height: int
    time_ns: int
    app_hash: bytes
    changes: Changes
    diff: Changes
    beside: Mapping[str, Changes] = field(default_factory=dict)


class VersionedState:
    """Committed state, its sparse tree, and the last heights. Not to be shared between threads."""

    def __init__(self, store: StateStore, *, kept_heights: int = history.KEPT_HEIGHTS) -> None:
        self._store = store
        self._kept_heights = kept_heights
        self._staged: Staged | None = None
        self._tree = SparseTree(store.pairs())
        self.height, self.time_ns, self.app_hash = store.height, store.time_ns, store.app_hash
        if self.app_hash and self._tree.root != self.app_hash:
            raise Faulty(
                "state_corrupt",
                f"the state at height {self.height} has root {self._tree.root.hex()}, stored is {self.app_hash.hex()}",
            )

    def get(self, key: bytes) -> bytes | None:
        """The committed value."""
        return self._store.state(key)

    def begin(self, chain: bytes, time_ns: int, content: Mapping[bytes, bytes], beside: Mapping[str, Changes]) -> bytes:
        """Empties the store and commits `content` as height 0; returns its app hash."""
        self._store.clear()
        self._tree = SparseTree(content.items())
        root = self._tree.root
        meta = {
            StateStore.CHAIN: chain,
            StateStore.HEIGHT: height_key(0),
            StateStore.TIME: height_key(time_ns),
            StateStore.APP_HASH: root,
        }
        self._store.write({"state": content, **beside, "meta": meta})
        self._staged, self.height, self.time_ns, self.app_hash = None, 0, time_ns, root
        return root

    def stage(self, height: int, time_ns: int, changes: Changes, beside: Mapping[str, Changes]) -> bytes:
        """Computes the next height's app hash, holds everything back; raises Faulty if the height is not the next."""
        if self._staged is not None or height != self.height + 1:
            raise Faulty("state_corrupt", f"block {height} was finalized after height {self.height}")
        diff = history.reverse_diff(changes, self.get)
        root = self._tree.update(changes) if changes else self.app_hash
        self._staged = Staged(height, time_ns, root, changes, diff, beside)
        return root

    def commit(self) -> int:
        """Writes what was staged, in one transaction; returns the new height."""
        staged = self._staged
        if staged is None:
            raise Faulty("state_corrupt", f"commit after height {self.height} without a finalized block")
        diffs = history.expired(self._store, staged.height, self._kept_heights)
        if staged.diff:
            diffs[height_key(staged.height)] = history.encode_diff(staged.diff)
        meta = {
            StateStore.HEIGHT: height_key(staged.height),
            StateStore.TIME: height_key(staged.time_ns),
            StateStore.APP_HASH: staged.app_hash,
        }
        self._store.write({"state": staged.changes, "diff": diffs, **staged.beside, "meta": meta})
        self._staged = None
        self.height, self.time_ns, self.app_hash = staged.height, staged.time_ns, staged.app_hash
        return self.height

    def discard(self) -> None:
        """Forgets what was staged; the tree is again that of the committed height."""
        if self._staged is None:
            return
        if self._staged.diff:
            self._tree.update(self._staged.diff)
        self._staged = None
        if self.app_hash and self._tree.root != self.app_hash:
            raise Faulty("state_corrupt", f"undoing a block gave {self._tree.root.hex()}, not {self.app_hash.hex()}")

    @property
    def oldest(self) -> int:
        """The earliest height that can still be read."""
        return max(self._store.base, self.height - self._kept_heights)

    def read(self, key: bytes, height: int) -> bytes | None:
        """The value after the block at `height`; raises Refused for a height that is not kept."""
        past = history.values_at(self.diffs_after(height))
        return past[key] if key in past else self.get(key)

    def prove(self, key: bytes, height: int) -> SparseProof:
        """The path from the key's bucket to the app hash after `height`, which header `height` + 1 carries."""
        return self.prove_bucket(bucket_index(key), height)

    def prove_bucket(self, index: int, height: int) -> SparseProof:
        """The same for a whole bucket, whatever its keys are."""
        past = history.values_at(self.diffs_after(height))
        return self._tree.prove_bucket(index, self._past_buckets(past))

    def _past_buckets(self, past: Changes) -> dict[int, Bucket]:
        """The earlier entries of every bucket in which one of the keys of `past` lies."""
        buckets: dict[int, dict[bytes, bytes]] = {}
        for key, value in past.items():
            index, hashed_key = bucket_index(key), sha256(key).digest()
            bucket = buckets.setdefault(index, dict(self._tree.bucket(index)))
            if value is None:
                bucket.pop(hashed_key, None)
            else:
                bucket[hashed_key] = sha256(value).digest()
        return {index: tuple(sorted(bucket.items())) for index, bucket in buckets.items()}

    def diffs_after(self, height: int) -> Iterator[Changes]:
        """What each block above `height` overwrote, oldest first; raises Refused for a height that is not kept."""
        if not self.oldest <= height <= self.height:
            raise Refused(
                "height_unknown", f"no state of height {height} here; kept are {self.oldest} to {self.height}"
            )
        yield from history.diffs_after(self._store, height)
        if self._staged is not None:
            # The tree is one block ahead of the store until Commit.
            yield self._staged.diff
