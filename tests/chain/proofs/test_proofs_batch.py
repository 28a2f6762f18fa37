"""Batches of records: the Merkle-sum root, the entries, and inclusion as the device checks it."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Malformed, Refused
from chain.proofs.batch import BatchLeaf, Inclusion, build_batch, share_out
from chain.wire.bodies import BatchEntry, proof_batch, read_proof_batch

HUB = b"\x01" * 20


def leaf(number: int, work: int = 1) -> BatchLeaf:
    device = sha256(bytes([number % 3])).digest()
    return BatchLeaf(device, bytes(16), number, work, b"record %d" % number)


def naive_root(leaves: list[tuple[int, bytes]]) -> tuple[bytes, int]:
    """economics.md, proof batches, by the recursive definition of RFC 6962."""
    if len(leaves) == 1:
        total, data = leaves[0]
        return sha256(b"\x00" + total.to_bytes(16, "big") + data).digest(), total
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    (left, left_sum), (right, right_sum) = naive_root(leaves[:split]), naive_root(leaves[split:])
    data = left + left_sum.to_bytes(16, "big") + right + right_sum.to_bytes(16, "big")
    return sha256(b"\x01" + data).digest(), left_sum + right_sum


@given(st.lists(st.integers(0, 2**64), min_size=1, max_size=40))
def test_root_and_sum_follow_the_definition_over_sorted_leaves(works: list[int]) -> None:
    leaves = [leaf(number, work) for number, work in enumerate(works)]
    batch = build_batch(reversed(leaves))
    ordered = sorted(leaves, key=lambda item: (item.device, item.chain, item.seq))
    assert (batch.root, batch.sum) == naive_root([(item.work, item.raw) for item in ordered])
    assert (batch.count, batch.size_bytes) == (len(works), sum(len(item.raw) for item in leaves))


@given(st.integers(1, 60), st.data())
def test_every_record_is_shown_to_be_included_and_nothing_else_is(size: int, data: st.DataObject) -> None:
    batch = build_batch(leaf(number, number) for number in range(size))
    index = data.draw(st.integers(0, size - 1))
    inclusion = Inclusion.from_document(json.loads(json.dumps(batch.inclusion(index).document())))
    raw = batch.leaves[index].raw
    assert inclusion.holds(raw)
    assert not inclusion.holds(raw + b"!")
    assert not replace(inclusion, leaf_sum=inclusion.leaf_sum + 1).holds(raw)
    assert not replace(inclusion, sum=inclusion.sum + 1).holds(raw)
    assert not replace(inclusion, count=inclusion.count + size).holds(raw) or size == 1
    assert not replace(inclusion, root=bytes(32)).holds(raw)


def test_a_record_that_stands_twice_is_refused() -> None:
    with pytest.raises(Refused, match="record_replay"):
        build_batch([leaf(1), leaf(2), replace(leaf(1), raw=b"another")])


def test_a_sum_beyond_128_bits_is_refused() -> None:
    with pytest.raises(Refused, match="tx_overflow"):
        build_batch([leaf(1, 2**127), leaf(2, 2**127)])


def test_an_empty_batch_has_the_empty_root() -> None:
    batch = build_batch([])
    assert (batch.root, batch.sum, batch.count) == (sha256(b"").digest(), 0, 0)


@given(st.integers(0, 10**30), st.integers(1, 500))
def test_work_is_shared_out_to_the_last_unit(work: int, leaves: int) -> None:
    shares = share_out(work, leaves)
    assert (sum(shares), len(shares)) == (work, leaves)
    assert max(shares) - min(shares) <= 1


def test_the_transaction_carries_entries_in_order_whose_work_is_the_roots() -> None:
    batch = build_batch(leaf(number, 10) for number in range(5))
    rich = BatchEntry(b"\x02" * 20, 3, 3, 1, 0, 12, 30)
    poor = BatchEntry(b"\x01" * 20, 2, 3, 0, 1, None, 20)
    content = batch.proof_batch(HUB, 7, [rich, poor])
    kind, body = proof_batch(content)
    assert read_proof_batch(body) == content
    assert content.entries == (poor, rich)
    assert (kind, content.kind, content.reward_epoch, content.sum) == (10, "work", 7, 50)
    with pytest.raises(Refused, match="proof_invalid"):
        batch.proof_batch(HUB, 7, [rich])


@pytest.mark.parametrize(
    "change", [{"root": "zz"}, {"path": [["00"]]}, {"path": "x"}, {"count": None}, {"path": [["00", "1"]] * 65}]
)
def test_a_document_that_is_no_inclusion_is_malformed(change: dict[str, object]) -> None:
    document = build_batch([leaf(0), leaf(1)]).inclusion(0).document()
    with pytest.raises(Malformed):
        Inclusion.from_document({**document, **change})
