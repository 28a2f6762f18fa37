"""Where two states part: found by bisection over heights and by a walk down two trees, whatever the difference is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.sparse import SparseTree
from chain.crypto.sparse_proof import DEPTH, SparseProof, bucket_index
from chain.errors import Refused
from chain.node.doctor.difference import Difference, first_difference

State = Mapping[bytes, bytes]
states = st.dictionaries(st.binary(min_size=1, max_size=3), st.binary(max_size=2), max_size=40)


@dataclass
class Remembered:
    """A side whose states by height are all in memory; `asked` counts its proofs."""

    states: Mapping[int, State]
    name: str = "a side"
    asked: int = 0
    trees: dict[int, SparseTree] = field(default_factory=dict)

    def heights(self) -> tuple[int, int]:
        return min(self.states), max(self.states)

    def prove(self, bucket: int, height: int) -> SparseProof:
        self.asked += 1
        if height not in self.trees:
            self.trees[height] = SparseTree(self.states[height].items())
        return self.trees[height].prove_bucket(bucket, {})

    def key_of(self, hashed: bytes, height: int) -> bytes | None:
        return next((key for key in self.states[height] if sha256(key).digest() == hashed), None)

    def value_of(self, key: bytes, height: int) -> bytes | None:
        return self.states[height].get(key)


def in_tree_order(key: bytes) -> tuple[int, bytes]:
    return bucket_index(key), sha256(key).digest()


@given(states, states)
def test_the_first_key_in_the_trees_order_is_found(left: State, right: State) -> None:
    differing = [key for key in {*left, *right} if left.get(key) != right.get(key)]
    one, other = Remembered({7: left}), Remembered({7: right})
    found = first_difference(one, other)
    if not differing:
        assert found is None
        return
    key = min(differing, key=in_tree_order)
    assert found == Difference(7, True, sha256(key).digest(), key, (left.get(key), right.get(key)))
    assert one.asked <= DEPTH + 3


@pytest.mark.parametrize("first", [2, 3, 50, 99, 100])
def test_the_height_is_the_first_at_which_they_differ(first: int) -> None:
    same = {height: {b"a": b"%d" % height} for height in range(1, 101)}
    wrong = {height: {**state, b"b": b"x"} if height >= first else state for height, state in same.items()}
    one, other = Remembered(same), Remembered(wrong)
    assert first_difference(one, other) == Difference(first, False, sha256(b"b").digest(), b"b", (None, b"x"))
    assert one.asked < 40


def test_only_heights_that_both_know_are_looked_at() -> None:
    old, new = Remembered({height: {b"a": b"1"} for height in (1, 2, 3)}), Remembered({4: {}, 5: {}})
    with pytest.raises(Refused, match="height_unknown: a side knows heights 1 to 3, a side 4 to 5"):
        first_difference(old, new)


def test_proofs_that_do_not_fit_together_are_refused() -> None:
    class Liar(Remembered):
        def prove(self, bucket: int, height: int) -> SparseProof:
            honest = super().prove(bucket, height)
            siblings = (*honest.siblings[:-1], sha256(b"%d" % self.asked).digest())
            return SparseProof(siblings, honest.bucket)

    with pytest.raises(Refused, match="do not fit together"):
        first_difference(Remembered({1: {b"a": b"1"}}), Liar({1: {b"a": b"1"}}))
