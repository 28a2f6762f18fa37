"""Who and what a block is about: addresses, devices and deals, each with the role in which it appears.

What stands in a transaction's bytes is proven by the block's header; what only an event says is the node's word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chain.crypto.address import address, device_id
from chain.errors import DccnError
from chain.light.rpc import RawEvent
from chain.wire.bodies import read_device_register, read_pog_commit, read_proof_batch, read_transfer
from chain.wire.transactions import DEVICE_REGISTER, POG_COMMIT, PROOF_BATCH, TRANSFER, Transaction

ADDRESS, DEVICE, DEAL = "address", "device", "deal"
_ADDRESS_HEX = re.compile(r"[0-9a-f]{40}", re.ASCII)
_ID_HEX = re.compile(r"(?:[0-9a-f]{2}){1,32}", re.ASCII)


class Mention(NamedTuple):
    kind: str
    value: bytes
    role: str
    proven: bool


def of_transaction(transaction: Transaction) -> Iterator[Mention]:
    """What the bytes name; a body that cannot be read names nobody (its transaction failed)."""
    yield Mention(ADDRESS, address(transaction.sender), "sender", True)
    if transaction.fee_payer is not None:
        yield Mention(ADDRESS, address(transaction.fee_payer), "fee_payer", True)
    try:
        yield from list(_of_body(transaction))
    except DccnError:
        return


def of_events(events: Iterable[RawEvent]) -> Iterator[Mention]:
    """20 bytes in hex are an address, whatever the attribute; devices and deals go by its name."""
    for _, attributes in events:
        for key, value in attributes:
            if key in (DEVICE, DEAL):
                if _ID_HEX.fullmatch(value):
                    yield Mention(key, bytes.fromhex(value), key, False)
            elif _ADDRESS_HEX.fullmatch(value):
                yield Mention(ADDRESS, bytes.fromhex(value), key[:40], False)


def _of_body(transaction: Transaction) -> Iterator[Mention]:
    body = transaction.body
    if transaction.type == TRANSFER:
        yield Mention(ADDRESS, read_transfer(body).to, "to", True)
    elif transaction.type == DEVICE_REGISTER:
        yield Mention(DEVICE, device_id(read_device_register(body).device), "device", True)
    elif transaction.type == PROOF_BATCH:
        batch = read_proof_batch(body)
        yield Mention(ADDRESS, batch.hub, "hub", True)
        for entry in batch.entries:
            yield Mention(ADDRESS, entry.owner, "owner", True)
    elif transaction.type == POG_COMMIT:
        yield Mention(ADDRESS, read_pog_commit(body).hub, "hub", True)
