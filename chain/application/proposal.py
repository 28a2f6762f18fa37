"""What may stand in a block: its size, its beacon, and the checks that need no state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chain.errors import Malformed
from chain.wire.transactions import is_beacon_tx


def framed_bytes(tx: bytes) -> int:
    """Size of a transaction in a block's protobuf: field tag, length as varint, content."""
    return 1 + max(1, (len(tx).bit_length() + 6) // 7) + len(tx)


def total_bytes(txs: Iterable[bytes]) -> int:
    return sum(framed_bytes(tx) for tx in txs)


def split_beacon(txs: Sequence[bytes]) -> tuple[bytes, tuple[bytes, ...]]:
    """Transaction 0 and the others; raises `block_invalid` unless exactly the first is a beacon transaction."""
    if not txs or not is_beacon_tx(txs[0]):
        raise Malformed("block_invalid", "the block's first transaction is not a beacon")
    others = tuple(txs[1:])
    for index, tx in enumerate(others, start=1):
        if is_beacon_tx(tx):
            raise Malformed("block_invalid", f"transaction {index} is a second beacon")
    return txs[0], others
