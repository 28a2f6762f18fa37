"""A verified block as rows of the index."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256

from sqlalchemy import Connection

from chain.crypto.address import address
from chain.errors import DccnError
from chain.history.mentions import Mention, of_events, of_transaction
from chain.history.schema import BLOCK_POSITION, blocks, events, mentions, transactions
from chain.light.rpc import BlockResults, RawBlock, RawEvent
from chain.wire.transactions import Transaction, decode

INTEGER_MAX = (1 << 63) - 1
"""Of both databases; -1 stands for what is larger."""


def write_block(connection: Connection, block: RawBlock, results: BlockResults, block_hash: bytes) -> None:
    """Everything of a block, inside of the caller's transaction."""
    header = block.header
    connection.execute(
        blocks.insert().values(
            height=header.height,
            hash=block_hash,
            time_ns=header.time_ns,
            proposer=header.proposer_address,
            transactions=len(block.txs),
        )
    )
    _write_events(connection, header.height, BLOCK_POSITION, results.events, of_events(results.events))
    for position, (raw, outcome) in enumerate(zip(block.txs, results.outcomes, strict=True)):
        transaction = decoded(raw)
        connection.execute(
            transactions.insert().values(
                height=header.height,
                position=position,
                hash=sha256(raw).digest(),
                code=outcome.code,
                log=storable(outcome.log),
                raw=raw,
                **_columns(transaction),
            )
        )
        named = [] if transaction is None else list(of_transaction(transaction))
        _write_events(connection, header.height, position, outcome.events, [*named, *of_events(outcome.events)])


def decoded(raw: bytes) -> Transaction | None:
    """Transaction 0, the beacon, is not a signed transaction and has no sender."""
    try:
        return decode(raw)
    except DccnError:
        return None


def storable(text: str) -> str:
    """A node's words as both databases take them: without NUL and without halves of surrogate pairs."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _write_events(
    connection: Connection, height: int, position: int, told: tuple[RawEvent, ...], named: Iterable[Mention]
) -> None:
    place = {"height": height, "position": position}
    rows = [
        place | {"number": number, "type": storable(kind), "attributes": json.dumps(pairs)}
        for number, (kind, pairs) in enumerate(told)
    ]
    if rows:
        connection.execute(events.insert(), rows)
    found: dict[tuple[str, bytes, str], bool] = {}
    for one in named:
        # Proven mentions come first, so that an event never takes the place of one.
        found.setdefault((one.kind, one.value, storable(one.role)), one.proven)
    if found:
        connection.execute(
            mentions.insert(),
            [
                place | {"kind": kind, "value": value, "role": role, "proven": proven}
                for (kind, value, role), proven in found.items()
            ],
        )


def _columns(transaction: Transaction | None) -> dict[str, int | bytes | str | None]:
    if transaction is None:
        return {"type": None, "sender": None, "nonce": None, "fee_atto": None}
    return {
        "type": _integer(transaction.type),
        "sender": address(transaction.sender),
        "nonce": _integer(transaction.nonce),
        "fee_atto": str(transaction.fee),
    }


def _integer(value: int) -> int:
    return value if value <= INTEGER_MAX else -1
