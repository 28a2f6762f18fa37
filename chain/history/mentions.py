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
from chain.wire import kinds
from chain.wire.bodies import (
    read_device_register,
    read_device_revoke,
    read_pog_commit,
    read_proof_batch,
    read_transfer,
)
from chain.wire.deals import (
    deal_id,
    read_deal_open,
    read_deal_settle,
    read_deal_top_up,
    read_metering_batch,
    read_rate,
)
from chain.wire.payments import read_multi_send, read_multisig_approve, read_multisig_create, read_multisig_spend
from chain.wire.transactions import Transaction

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
    yield _address(address(transaction.sender), "sender")
    if transaction.fee_payer is not None:
        yield _address(address(transaction.fee_payer), "fee_payer")
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
    match transaction.type:
        case kinds.TRANSFER:
            yield _address(read_transfer(body).to, "to")
        case kinds.MULTI_SEND:
            yield from (_address(each.to, "to") for each in read_multi_send(body))
        case kinds.MULTISIG_CREATE:
            yield from (_address(each, "member") for each in read_multisig_create(body).members)
        case kinds.MULTISIG_SPEND:
            spend = read_multisig_spend(body)
            yield _address(spend.account, "account")
            yield from (_address(each.to, "to") for each in spend.payments)
        case kinds.MULTISIG_APPROVE:
            yield _address(read_multisig_approve(body).account, "account")
        case kinds.DEVICE_REGISTER:
            yield Mention(DEVICE, device_id(read_device_register(body).device), DEVICE, True)
        case kinds.DEVICE_REVOKE:
            yield Mention(DEVICE, read_device_revoke(body), DEVICE, True)
        case kinds.PROOF_BATCH:
            batch = read_proof_batch(body)
            yield _address(batch.hub, "hub")
            yield from (_address(entry.owner, "owner") for entry in batch.entries)
        case kinds.POG_COMMIT:
            yield _address(read_pog_commit(body).hub, "hub")
        case _:
            yield from _of_deal(transaction)


def _of_deal(transaction: Transaction) -> Iterator[Mention]:
    body = transaction.body
    match transaction.type:
        case kinds.DEAL_OPEN:
            opened = read_deal_open(body)
            yield _deal(deal_id(address(transaction.sender), transaction.nonce))
            yield _address(opened.provider, "provider")
            yield _address(opened.app_provider, "app_provider")
            yield _address(opened.platform, "platform")
        case kinds.DEAL_TOP_UP:
            yield _deal(read_deal_top_up(body).deal)
        case kinds.METERING_BATCH:
            yield from (_deal(deal) for deal, _ in read_metering_batch(body).used)
        case kinds.DEAL_SETTLE:
            yield _deal(read_deal_settle(body).deal)
        case kinds.RATE:
            yield _deal(read_rate(body).deal)


def _address(value: bytes, role: str) -> Mention:
    return Mention(ADDRESS, value, role, True)


def _deal(value: bytes) -> Mention:
    return Mention(DEAL, value, DEAL, True)
