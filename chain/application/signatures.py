"""Every signature is verified once: good ones are remembered by hash, so a block costs only what is new in it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor
from hashlib import sha256

from chain.errors import DccnError
from chain.wire import transactions
from chain.wire.transactions import Transaction

CAPACITY = 200_000
CHUNK = 64


class VerifiedSignatures:
    """The hashes of the last transactions whose signatures are good on this chain.

    With an executor, long lists are verified in chunks on its threads: libsodium lets go of the interpreter lock.
    """

    def __init__(self, chain_id: str, *, capacity: int = CAPACITY, executor: Executor | None = None) -> None:
        self._chain_id = chain_id
        self._capacity = capacity
        self._executor = executor
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, digest: object) -> bool:
        return digest in self._good

    def __len__(self) -> int:
        return len(self._good)

    def verify(self, transaction: Transaction) -> bool:
        """Whether all of the transaction's signatures are good; asks libsodium only the first time."""
        digest = transaction.hash
        if digest in self._good:
            self._good.move_to_end(digest)
            return True
        if not transaction.verify(self._chain_id):
            return False
        self._remember(digest)
        return True

    def verify_all(self, txs: Sequence[bytes]) -> frozenset[bytes]:
        """The hashes of those encoded transactions that are readable and well signed."""
        digests = [sha256(tx).digest() for tx in txs]
        unknown = [(digest, tx) for digest, tx in zip(digests, txs, strict=True) if digest not in self._good]
        chunks = [unknown[start : start + CHUNK] for start in range(0, len(unknown), CHUNK)]
        answers = (
            self._executor.map(self._good_of, chunks)
            if self._executor and len(chunks) > 1
            else map(self._good_of, chunks)
        )
        for good in answers:
            for digest in good:
                self._remember(digest)
        return frozenset(digest for digest in digests if digest in self._good)

    def _good_of(self, chunk: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        return [digest for digest, tx in chunk if is_well_signed(tx, self._chain_id)]

    def _remember(self, digest: bytes) -> None:
        self._good[digest] = None
        if len(self._good) > self._capacity:
            self._good.popitem(last=False)


def is_well_signed(tx: bytes, chain_id: str) -> bool:
    """Whether the bytes are a transaction with good signatures; malformed bytes are not."""
    try:
        return transactions.decode(tx).verify(chain_id)
    except DccnError:
        return False
