"""State values as the REST routes show them."""

from __future__ import annotations

from typing import Any

import msgspec

from chain.crypto.address import address, encode
from chain.gateway import answers
from chain.wallet.client import ChainClient
from chain.wallet.settlement import TransactionStatus
from chain.wire.bridge import CLOSED, FORMS, Bridge
from chain.wire.cometbft import Header, ValidatorSet, format_time
from chain.wire.deals import Deal
from chain.wire.operators import Operator, Seats, Unbonding
from chain.wire.state import Supply
from chain.wire.transactions import BEACON, TYPES

Shown = dict[str, Any]


def basis(client: ChainClient, height: int | None) -> Shown:
    """The members that every answer has; without `height` the answer is somebody's word."""
    return {"chain_id": client.chain_id, "verified_height": height, "trusted": client.trusted}


def block(header: Header, transactions: list[str]) -> Shown:
    return {
        "height": header.height,
        "hash": header.hash().hex(),
        "time": format_time(header.time_ns),
        "proposer": header.proposer_address.hex(),
        "app_hash": header.app_hash.hex(),
        "validators_hash": header.validators_hash.hex(),
        "transactions": transactions,
    }


def unbonding(number: int, found: Unbonding) -> answers.Unbonding:
    matures = format_time(found.matures_ns)
    return answers.Unbonding(number, str(found.amount_atto), found.begun_height, matures)


def validators(found: ValidatorSet) -> list[answers.Validator]:
    return [answers.Validator(each.address.hex(), each.public.hex(), each.power) for each in found]


def seats(found: Seats | None) -> list[answers.Seat]:
    seated = () if found is None else found.seats
    return [answers.Seat(encode(each.operator), each.key, each.since_epoch) for each in seated]


def operator(account: bytes, found: Operator) -> answers.Operator:
    ends = found.jailed and not found.tombstoned
    return answers.Operator(
        address=encode(account),
        name=found.name,
        bond_atto=str(found.bond_atto),
        keys=[consensus.hex() for consensus, _ in found.keys],
        unbonding=list(found.unbonding),
        jailed=found.jailed,
        jailed_until=format_time(found.jailed_until_ns) if ends else None,
        tombstoned=found.tombstoned,
    )


def deal(found: Deal) -> Shown:
    accounts = ("customer", "provider", "app_provider", "platform")
    amounts = ("escrow_atto", "used_atto", "paid_atto")
    return {
        **{name: encode(getattr(found, name)) for name in accounts},
        **{name: str(getattr(found, name)) for name in amounts},
        "app_permille": found.app_permille,
        "terms": found.terms.hex(),
        "exhausted": found.exhausted,
        "outcome": found.outcome,
        "rated": found.rated,
    }


def supply(found: Supply) -> Shown:
    parts = {name: value for name, value in msgspec.structs.asdict(found).items() if name.endswith("_atto")}
    return {
        "total_atto": str(found.total_atto),
        "parts_atto": {name.removesuffix("_atto"): str(value) for name, value in parts.items()},
        "reserved_atto": {name: str(amount) for name, amount in found.reserved},
    }


def bridge(found: Bridge | None, outside: Supply) -> Shown:
    state = found or CLOSED
    return {
        "closed": not state.guardians,
        "paused": state.paused,
        "guardians": [encode(each) for each in state.guardians],
        "threshold": state.threshold,
        "next_lock": state.next_lock,
        "bridged_atto": {form: str(getattr(outside, f"bridged_{form}_atto")) for form in FORMS},
    }


def transaction(found: TransactionStatus) -> Shown:
    """A beacon has no sender, nonce and fee: it is unsigned."""
    one = found.transaction
    kind = BEACON if one is None else one.type
    return {
        "hash": found.hash.hex(),
        "state": found.state,
        "height": found.height,
        "index": found.index,
        "code": found.code_name or None,
        "log": found.log,
        "type": TYPES.get(kind, str(kind)),
        "sender": None if one is None else encode(address(one.sender)),
        "nonce": None if one is None else one.nonce,
        "fee_atto": None if one is None else str(one.fee),
        "bytes": None if one is None else one.encode().hex(),
    }
