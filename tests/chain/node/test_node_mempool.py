"""The mempool: bounded, in order, nothing twice."""

from __future__ import annotations

import pytest

from chain.application.abci import CheckTxType, RequestCheckTx, ResponseCheckTx
from chain.errors import Refused
from chain.node.mempool import Mempool, MempoolLimits


class Checker:
    """Refuses what it is told to, and notes every question."""

    def __init__(self) -> None:
        self.refused: set[bytes] = set()
        self.asked: list[tuple[bytes, CheckTxType]] = []

    def __call__(self, request: RequestCheckTx) -> ResponseCheckTx:
        self.asked.append((request.tx, request.type))
        return ResponseCheckTx(code=11 if request.tx in self.refused else 0)


@pytest.fixture
def checker() -> Checker:
    return Checker()


async def test_what_arrives_first_leaves_first(checker: Checker) -> None:
    pool = Mempool(checker)
    for tx in (b"b", b"a", b"c"):
        assert pool.add(tx).code == 0
    assert pool.available.is_set()
    assert pool.reap(1_000) == (b"b", b"a", b"c")
    assert pool.reap(6) == (b"b", b"a"), "each takes three bytes with its framing"


async def test_a_duplicate_is_refused_before_anything_is_verified(checker: Checker) -> None:
    pool = Mempool(checker)
    pool.add(b"tx")
    with pytest.raises(Refused) as caught:
        pool.add(b"tx")
    assert caught.value.code == "tx_duplicate"
    assert len(checker.asked) == 1


async def test_an_invalid_transaction_does_not_wait_and_may_come_again(checker: Checker) -> None:
    pool = Mempool(checker)
    checker.refused = {b"early"}
    assert pool.add(b"early").code == 11
    assert (len(pool), pool.available.is_set()) == (0, False)
    checker.refused = set()
    assert pool.add(b"early").code == 0


async def test_after_a_block_the_rest_is_checked_again(checker: Checker) -> None:
    pool = Mempool(checker)
    for tx in (b"in the block", b"still good", b"overtaken"):
        pool.add(tx)
    checker.refused, checker.asked = {b"overtaken"}, []
    pool.update(5, [b"in the block", b"never seen here"])
    assert checker.asked == [(b"still good", CheckTxType.RECHECK), (b"overtaken", CheckTxType.RECHECK)]
    assert pool.reap(1_000) == (b"still good",)
    assert pool.total_bytes == len(b"still good")
    pool.update(6, [b"still good"])
    assert not pool.available.is_set()
    with pytest.raises(Refused, match="already exists"):
        pool.add(b"never seen here")


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (MempoolLimits(transactions=2), "mempool_full"),
        (MempoolLimits(total_bytes=10), "mempool_full"),
        (MempoolLimits(transaction_bytes=4), "too_large"),
    ],
)
async def test_every_bound_holds(checker: Checker, limits: MempoolLimits, code: str) -> None:
    pool = Mempool(checker, limits)
    pool.add(b"1234")
    pool.add(b"5678")
    with pytest.raises(Refused) as caught:
        pool.add(b"9abcd")
    assert caught.value.code == code
    assert len(checker.asked) == 2


async def test_the_memory_of_seen_hashes_is_bounded(checker: Checker) -> None:
    pool = Mempool(checker, MempoolLimits(seen_hashes=2))
    pool.update(1, [b"old", b"newer", b"newest"])
    assert pool.add(b"old").code == 0
