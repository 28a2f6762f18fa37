"""Merkle and Merkle-sum trees: Certificate Transparency's published roots, and laws against the RFC's recursion."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto import merkle, merkle_sum
from chain.crypto.merkle_sum import Leaf
from chain.errors import Refused

# The eight leaves and the roots over 1 to 8 of them: certificate-transparency merkletree tests (RFC 6962 trees).
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("count", range(9))
def test_the_published_roots(count: int) -> None:
    assert merkle.root(LEAVES[:count]).hex() == ROOTS[count]


def recursive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if len(leaves) <= 1:
        return sha256(b"\x00" + leaves[0]).digest() if leaves else sha256(b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + recursive_root(leaves[:split]) + recursive_root(leaves[split:])).digest()


leaves = st.lists(st.binary(max_size=4), min_size=1, max_size=40)


@given(leaves)
def test_the_root_is_that_of_the_recursive_definition(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == recursive_root(leaves)


@given(leaves, st.data())
def test_every_leaf_is_proven_and_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, path = merkle.root(leaves), merkle.proof(leaves, index)
    total = len(leaves)
    assert merkle.verify(root, leaves[index], index, total, path)
    assert not merkle.verify(root, leaves[index] + b"x", index, total, path)
    assert not merkle.verify(sha256(root).digest(), leaves[index], index, total, path)
    assert not merkle.verify(root, leaves[index], index, total, [*path, bytes(32)])
    assert not merkle.verify(root, leaves[index], total, total, path)
    assert not merkle.verify(root, leaves[index], -1, total, path)
    if path:
        assert not merkle.verify(root, leaves[index], index, total, path[:-1])
        assert not merkle.verify(root, leaves[index], index, total, [path[0][:-1], *path[1:]])


def test_many_paths_are_made_at_once_and_a_foreign_index_is_an_error() -> None:
    hashes = [merkle.leaf_hash(leaf) for leaf in LEAVES]
    assert merkle.root_of_hashes(hashes) == merkle.root(LEAVES)
    assert merkle.proofs_of_hashes(hashes, [5, 0]) == [merkle.proof(LEAVES, 5), merkle.proof_of_hashes(hashes, 0)]
    with pytest.raises(IndexError):
        merkle.proof(LEAVES, 8)


def test_an_inner_node_cannot_pass_as_a_leaf() -> None:
    left, right = merkle.root(LEAVES[:2]), merkle.root(LEAVES[2:4])
    assert not merkle.verify(merkle.root(LEAVES[:4]), left + right, 0, 1, [])


sum_leaves = st.lists(st.builds(Leaf, st.integers(0, 2**100), st.binary(max_size=4)), min_size=1, max_size=30)


def test_a_sum_tree_by_hand() -> None:
    one, two = Leaf(3, b"one"), Leaf(4, b"two")
    left = sha256(b"\x00" + (3).to_bytes(16, "big") + b"one").digest()
    right = sha256(b"\x00" + (4).to_bytes(16, "big") + b"two").digest()
    top = sha256(b"\x01" + left + (3).to_bytes(16, "big") + right + (4).to_bytes(16, "big")).digest()
    assert merkle_sum.root([one, two]) == (top, 7)
    assert merkle_sum.root([]) == (sha256(b"").digest(), 0)
    assert merkle_sum.proof([one, two], 0) == [(right, 4)]


@given(sum_leaves, st.data())
def test_every_leaf_of_a_sum_tree_is_proven_with_its_sum(leaves: list[Leaf], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    leaf = leaves[index]
    root, total = merkle_sum.root(leaves)
    path = merkle_sum.proof(leaves, index)
    assert total == sum(each.sum for each in leaves)
    assert merkle_sum.verify(root, total, leaf, index, len(leaves), path)
    assert not merkle_sum.verify(root, total + 1, leaf, index, len(leaves), path)
    assert not merkle_sum.verify(root, total, leaf._replace(sum=leaf.sum + 1), index, len(leaves), path)
    assert not merkle_sum.verify(root, total, leaf._replace(data=leaf.data + b"x"), index, len(leaves), path)
    assert not merkle_sum.verify(root, total, leaf, index, len(leaves), [*path, (bytes(32), 0)])


def test_a_sum_that_overflows_is_refused_in_trees_and_in_proofs() -> None:
    top = (1 << 128) - 1
    assert merkle_sum.root([Leaf(top, b"a"), Leaf(0, b"b")])[1] == top
    for leaves in ([Leaf(top, b"a"), Leaf(1, b"b")], [Leaf(1 << 128, b"a")], [Leaf(-1, b"a")]):
        with pytest.raises(Refused) as caught:
            merkle_sum.root(leaves)
        assert caught.value.code == "tx_overflow"
    assert not merkle_sum.verify(bytes(32), 0, Leaf(top, b"a"), 0, 2, [(bytes(32), 1)])
    assert not merkle_sum.verify(bytes(32), 0, Leaf(-1, b"a"), 0, 1, [])
    assert not merkle_sum.verify(bytes(32), 0, Leaf(1, b"a"), 0, 2, [(bytes(32), -1)])
