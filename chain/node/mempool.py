"""Transactions that wait for a block: bounded, first in first out, each seen once.

Duplicates are dropped by hash before anything is verified. Order of arrival is order in the block, so a sender's
nonces stay in order; after a block the rest is checked again and what became invalid is dropped.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from chain.application.abci import CODE_OK, CheckTxType, RequestCheckTx, ResponseCheckTx
from chain.application.proposal import framed_bytes
from chain.errors import Refused

Check = Callable[[RequestCheckTx], ResponseCheckTx]


@dataclass(frozen=True, slots=True)
class MempoolLimits:
    transactions: int = 5_000
    total_bytes: int = 64 * 1024 * 1024
    transaction_bytes: int = 1024 * 1024
    seen_hashes: int = 10_000


class Mempool:
    """What waits, and what was seen lately; `available` is set while something waits."""

    def __init__(self, check: Check, limits: MempoolLimits | None = None) -> None:
        self.available = asyncio.Event()
        self._check = check
        self._limits = limits or MempoolLimits()
        self._waiting: OrderedDict[bytes, bytes] = OrderedDict()
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._total_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def total_bytes(self) -> int:
        return self._total_bytes

    def add(self, tx: bytes) -> ResponseCheckTx:
        """Checks a transaction and, if its code is 0, lets it wait.

        Raises Refused `tx_duplicate`, `too_large` or `mempool_full` for what is not even checked.
        """
        if len(tx) > self._limits.transaction_bytes:
            raise Refused(
                "too_large", f"the transaction has {len(tx)} bytes, the limit is {self._limits.transaction_bytes}"
            )
        digest = sha256(tx).digest()
        if digest in self._seen:
            raise Refused("tx_duplicate", f"tx already exists in cache: {digest.hex().upper()}")
        if len(self) >= self._limits.transactions or self._total_bytes + len(tx) > self._limits.total_bytes:
            raise Refused("mempool_full", f"{len(self)} transactions of {self._total_bytes} bytes wait already")
        self._remember(digest)
        answer = self._check(RequestCheckTx(tx))
        if answer.code != CODE_OK:
            # It may become valid later (a nonce that comes too early), so it may be sent again.
            self._seen.pop(digest, None)
            return answer
        self._waiting[digest] = tx
        self._total_bytes += len(tx)
        self.available.set()
        return answer

    def reap(self, max_bytes: int) -> tuple[bytes, ...]:
        """The first transactions that fit into `max_bytes` with their protobuf framing; they keep waiting."""
        chosen, total = [], 0
        for tx in self._waiting.values():
            total += framed_bytes(tx)
            if total > max_bytes:
                break
            chosen.append(tx)
        return tuple(chosen)

    def waiting(self, limit: int) -> list[bytes]:
        """At most `limit` of those that wait, oldest first."""
        return [tx for _, tx in zip(range(limit), self._waiting.values(), strict=False)]

    def update(self, height: int, included: Sequence[bytes]) -> None:
        """After the block at `height`: its transactions leave, all others are checked again against the new state."""
        for tx in included:
            digest = sha256(tx).digest()
            self._remember(digest)
            self._drop(digest)
        for digest, tx in list(self._waiting.items()):
            if self._check(RequestCheckTx(tx, CheckTxType.RECHECK)).code != CODE_OK:
                self._drop(digest)
                self._seen.pop(digest, None)
        if not self._waiting:
            self.available.clear()

    def _drop(self, digest: bytes) -> None:
        tx = self._waiting.pop(digest, None)
        if tx is not None:
            self._total_bytes -= len(tx)

    def _remember(self, digest: bytes) -> None:
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        while len(self._seen) > self._limits.seen_hashes:
            self._seen.popitem(last=False)
