"""The state tree: the definition, order independence, proofs of presence, absence and of the past."""

from hashlib import sha256

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.crypto.sparse import SparseTree
from chain.crypto.sparse_proof import DEPTH, SparseProof, bucket_hash, bucket_index, verify_sparse
from chain.errors import Malformed

ZERO = bytes(32)
keys = st.sampled_from([b"key %d" % n for n in range(30)])
changes = st.dictionaries(keys, st.one_of(st.none(), st.binary(max_size=4)), max_size=10)


def root_by_definition(content: dict[bytes, bytes]) -> bytes:
    """The root straight from the words of the specification, bucket by bucket and level by level."""
    buckets: dict[int, list[list[bytes]]] = {}
    for key, value in content.items():
        entry = [sha256(key).digest(), sha256(value).digest()]
        buckets.setdefault(int(entry[0].hex()[:5], 16), []).append(entry)
    nodes = {
        index: sha256(b"\x00" + cbor2.dumps(sorted(entries), canonical=True)).digest()
        for index, entries in buckets.items()
    }
    for _ in range(DEPTH):
        parents = {index >> 1 for index in nodes}
        nodes = {
            p: sha256(b"\x01" + nodes.get(2 * p, ZERO) + nodes.get(2 * p + 1, ZERO)).digest() for p in sorted(parents)
        }
    return nodes.get(0, ZERO)


def colliding_keys(count: int) -> list[bytes]:
    """Keys of one bucket."""
    target, found, number = bucket_index(b"start"), [b"start"], 0
    while len(found) < count:
        number += 1
        key = number.to_bytes(4, "big")
        if bucket_index(key) == target:
            found.append(key)
    return found


COLLIDING = colliding_keys(3)


@settings(max_examples=20, deadline=None)
@given(st.lists(changes, max_size=4))
def test_the_root_is_that_of_the_content_however_it_came_about(batches: list[dict[bytes, bytes | None]]) -> None:
    tree, content = SparseTree(), {}
    for batch in batches:
        content.update(batch)
        content = {key: value for key, value in content.items() if value is not None}
        assert tree.update(batch) == tree.root == root_by_definition(content)
    assert SparseTree(reversed(list(content.items()))).root == tree.root
    tree.update(dict.fromkeys(content))
    assert tree.root == ZERO


def test_keys_of_one_bucket_share_it_in_order() -> None:
    content = {key: b"value of " + key for key in COLLIDING}
    tree = SparseTree(content.items())
    assert tree.root == root_by_definition(content)
    entries = tree.bucket(bucket_index(COLLIDING[0]))
    assert len(entries) == 3 and list(entries) == sorted(entries)
    tree.update({COLLIDING[1]: None, COLLIDING[2]: b"new"})
    assert tree.root == root_by_definition({COLLIDING[0]: content[COLLIDING[0]], COLLIDING[2]: b"new"})
    assert verify_sparse(tree.root, COLLIDING[1], None, tree.prove(COLLIDING[1]))


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(keys, st.binary(max_size=4), max_size=20), keys)
def test_a_proof_shows_what_is_and_what_is_not(content: dict[bytes, bytes], key: bytes) -> None:
    tree = SparseTree(content.items())
    proof = SparseProof.decode(tree.prove(key).encode())
    assert verify_sparse(tree.root, key, content.get(key), proof)
    assert not verify_sparse(tree.root, key, b"other value", proof)
    assert not verify_sparse(sha256(tree.root).digest(), key, content.get(key), proof)
    if key in content:
        assert not verify_sparse(tree.root, key, None, proof)


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(keys, st.binary(max_size=4), max_size=20), st.lists(changes, min_size=1, max_size=3), keys)
def test_the_past_can_be_proven_from_the_buckets_that_changed_since(
    before: dict[bytes, bytes], batches: list[dict[bytes, bytes | None]], key: bytes
) -> None:
    tree = SparseTree(before.items())
    past_root = tree.root
    past_buckets: dict[int, tuple[tuple[bytes, bytes], ...]] = {}
    for batch in batches:
        for index in {bucket_index(changed) for changed in batch}:
            past_buckets.setdefault(index, tree.bucket(index))
        tree.update(batch)
    assert tree.past_root(past_buckets) == past_root
    assert verify_sparse(past_root, key, before.get(key), tree.prove_past(key, past_buckets))


def test_a_forged_proof_is_refused() -> None:
    tree = SparseTree([(b"a", b"1"), (b"b", b"2")])
    proof = tree.prove(b"a")
    entry = (sha256(b"a").digest(), sha256(b"forged").digest())
    assert not verify_sparse(tree.root, b"a", b"forged", SparseProof(proof.siblings, (entry,)))
    assert not verify_sparse(tree.root, b"a", None, SparseProof(proof.siblings, ()))
    assert not verify_sparse(tree.root, b"a", b"1", SparseProof(proof.siblings[:-1], proof.bucket))
    assert not verify_sparse(tree.root, b"a", b"1", SparseProof(proof.siblings, proof.bucket * 2))
    assert not verify_sparse(tree.root, b"b", b"2", proof)


def test_a_proof_is_a_few_hundred_bytes_and_read_strictly() -> None:
    encoded = SparseTree([(b"a", b"1")]).prove(b"a").encode()
    assert len(encoded) < 1000
    siblings, bucket = cbor2.loads(encoded)
    for wrong in (
        b"",
        b"\xff",
        encoded[:-1],
        encoded + b"\0",
        cbor2.dumps([siblings[:-1], bucket]),
        cbor2.dumps([siblings, [[bucket[0][0]]]]),
        cbor2.dumps([siblings, {}]),
        cbor2.dumps([siblings, [["x" * 32, bucket[0][1]]]]),
        b"\x98\x02" + encoded[1:],
        bytes(1 << 17),
    ):
        with pytest.raises(Malformed):
            SparseProof.decode(wrong)


@pytest.mark.parametrize("count", [0, 1, 2, 23, 24, 300])
def test_a_bucket_of_any_size_has_the_hash_of_its_canonical_cbor(count: int) -> None:
    entries = [(n.to_bytes(32, "big"), sha256(bytes([n % 256])).digest()) for n in range(count)]
    expected = sha256(b"\x00" + cbor2.dumps([list(entry) for entry in entries])).digest() if count else ZERO
    assert bucket_hash(entries) == expected
