"""Happenings as JSON and as lines: amounts in decimal ANKR, addresses as ankr1…, times as RFC 3339."""

from __future__ import annotations

from typing import Any

from chain.crypto.address import address, encode
from chain.errors import REGISTRY, DccnError
from chain.history.search import Happening, IndexedBlock
from chain.wire.bodies import read_transfer
from chain.wire.rfc3339 import format_time
from chain.wire.transactions import TRANSFER, TYPES, format_ankr

_NAMES = {code.number: name for name, code in REGISTRY.items()}


def happening_document(one: Happening) -> dict[str, Any]:
    """What a transaction (or a block, where `hash` is null) did."""
    shown: dict[str, Any] = {"height": one.height, "position": one.position, "time": format_time(one.time_ns)}
    shown["hash"] = None if one.hash is None else one.hash.hex()
    transaction = one.transaction
    if transaction is not None:
        shown["type"] = TYPES.get(transaction.type, str(transaction.type))
        shown["from"] = encode(address(transaction.sender))
        if transaction.type == TRANSFER:
            shown |= _transfer(transaction.body)
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


def _transfer(body: list[Any]) -> dict[str, str]:
    """Empty for a body that is none: its transaction failed."""
    try:
        to, amount = read_transfer(body)
    except DccnError:
        return {}
    return {"to": encode(to), "amount": format_ankr(amount)}
