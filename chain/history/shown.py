"""Happenings as JSON and as lines: amounts in decimal ANKR, addresses as ankr1…, times as RFC 3339."""

from __future__ import annotations

from typing import Any

from chain.crypto.address import address, encode
from chain.errors import REGISTRY, DccnError
from chain.history.search import Happening, IndexedBlock
from chain.wire import kinds
from chain.wire.bodies import read_transfer
from chain.wire.deals import deal_id, read_deal_open, read_deal_settle, read_deal_top_up, read_rate
from chain.wire.rfc3339 import format_time
from chain.wire.transactions import TYPES, Transaction, format_ankr

_NAMES = {code.number: name for name, code in REGISTRY.items()}


def happening_document(one: Happening) -> dict[str, Any]:
    """What a transaction (or a block, where `hash` is null) did."""
    shown: dict[str, Any] = {"height": one.height, "position": one.position, "time": format_time(one.time_ns)}
    shown["hash"] = None if one.hash is None else one.hash.hex()
    transaction = one.transaction
    if transaction is not None:
        shown["type"] = TYPES.get(transaction.type, str(transaction.type))
        shown["from"] = encode(address(transaction.sender))
        shown |= _content(transaction)
        shown |= {"fee": format_ankr(transaction.fee), "nonce": transaction.nonce}
        if transaction.fee_payer is not None:
            shown["fee_payer"] = encode(address(transaction.fee_payer))
    else:
        shown["type"] = "block" if one.hash is None else "beacon"
    shown |= {"result": _NAMES.get(one.code, str(one.code)) if one.code else "ok", "log": one.log}
    shown |= {"roles": list(one.roles), "proven_roles": list(one.proven_roles)}
    return shown | {"events": [{"type": kind, "attributes": pairs} for kind, pairs in one.events]}


def block_document(block: IndexedBlock) -> dict[str, Any]:
    return {
        "height": block.height,
        "hash": block.hash.hex(),
        "time": format_time(block.time_ns),
        "proposer": block.proposer.hex(),
        "happenings": [happening_document(one) for one in block.happenings],
    }


def line(shown: dict[str, Any]) -> str:
    """One line of a happening's document."""
    what = shown["type"]
    if "amount" in shown:
        what = f"{shown['amount']} ANKR to {shown['to']}"
    elif shown["type"] == "block":
        what = ", ".join(event["type"] for event in shown["events"]) or "block"
    result = "" if shown["result"] == "ok" else f"  {shown['result']}"
    sender = f"  from {shown['from']}" if "from" in shown else ""
    return f"{shown['height']:>9}  {shown['time'][:19]}  {what}{sender}{result}  {shown['hash'] or ''}".rstrip()


def _content(one: Transaction) -> dict[str, Any]:
    """What a payment or a deal is about; empty for a body that is none: its transaction failed."""
    try:
        match one.type:
            case kinds.TRANSFER:
                to, amount = read_transfer(one.body)
                return {"to": encode(to), "amount": format_ankr(amount)}
            case kinds.DEAL_OPEN:
                deal = deal_id(address(one.sender), one.nonce)
                return {"deal": deal.hex(), "escrow": format_ankr(read_deal_open(one.body).escrow_atto)}
            case kinds.DEAL_TOP_UP:
                more = read_deal_top_up(one.body)
                return {"deal": more.deal.hex(), "escrow": format_ankr(more.amount)}
            case kinds.DEAL_SETTLE:
                return {"deal": read_deal_settle(one.body).deal.hex()}
            case kinds.RATE:
                rating = read_rate(one.body)
                return {"deal": rating.deal.hex(), "stars": rating.stars}
    except DccnError:
        pass
    return {}
