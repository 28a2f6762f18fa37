"""What a well-signed transaction may not say: bodies with every item missing, added, of another kind or out of range.

CheckTx and the block refuse alike; in a block such a transaction costs its fee, and nothing else comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cbor2
import pytest

from chain.wire import kinds
from chain.wire.bodies import MAX_ENTRIES
from chain.wire.deals import MAX_METERED
from chain.wire.disputes import MAX_PATH
from chain.wire.governance import MAX_CHANGES
from chain.wire.kinds import TYPES
from chain.wire.offences import MAX_RECORD_BYTES
from chain.wire.payments import MAX_MEMBERS, MAX_PAYMENTS, MAX_SPEND_PAYMENTS
from chain.wire.state import required_fee
from tests.adversary.busy_chain import BusyChain, Good
from tests.adversary.test_transaction_refusals import ALL_TYPES, NAMES, chain, envelope, refusal, refused

__all__ = ["chain"]

Place = tuple[int, ...]

NEVER = {"a map": {"x": 1}, "a fraction": 1.5, "a number below 0": -1, "a number over 2^128 - 1": 2**128}
"""No place in any body takes one of these."""
SELDOM = {
    "null": None,
    "true": True,
    "a text": "x",
    "no bytes": b"",
    "2^63": 2**63,
    "2^64": 2**64,
    "too long": "x" * 999,
}
"""Some places take some of these, or their ledger entry is not found."""


def places(value: object, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every place in a body, with what stands there."""
    yield place, value
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for at, item in items:
        yield from places(item, (*place, at))


def put(value: Any, place: Place, new: object) -> Any:
    """The body with another thing in one place."""
    if not place:
        return new
    if isinstance(value, dict):
        return {at: put(item, place[1:], new) if at == place[0] else item for at, item in value.items()}
    return [put(item, place[1:], new) if at == place[0] else item for at, item in enumerate(value)]


def said(chain: BusyChain, good: Good, body: object, **changed: Any) -> bytes:
    return cbor2.dumps(envelope(chain, Good(good.sender, (good.content[0], body)), **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ALL_TYPES, ids=TYPES.get)
def test_no_place_takes_what_belongs_nowhere(chain: BusyChain, kind: int) -> None:
    good = chain.good()[kind]
    for place, _ in places(good.content[1]):
        for name, wrong in NEVER.items():
            code, _ = refusal(chain, said(chain, good, put(good.content[1], place, wrong)))
            assert code in ("malformed", "bad_key"), (place, name)


@pytest.mark.parametrize("kind", ALL_TYPES, ids=TYPES.get)
def test_no_array_takes_one_item_more(chain: BusyChain, kind: int) -> None:
    good = chain.good()[kind]
    for place, value in places(good.content[1]):
        if isinstance(value, list):
            longer = put(good.content[1], place, [*value, None])
            assert refused(chain, said(chain, good, longer), proposable=True, charged=True) == "malformed", place


@pytest.mark.parametrize("kind", ALL_TYPES, ids=TYPES.get)
def test_whatever_else_stands_in_a_place_is_judged_alike(chain: BusyChain, kind: int) -> None:
    """Accepted or refused with whatever code: never by one and not by the other, and no crash."""
    good = chain.good()[kind]
    for place, value in places(good.content[1]):
        others = [*SELDOM.values(), *_neighbours(value)]
        for other in others:
            tx = said(chain, good, put(good.content[1], place, other))
            (executed,), _ = chain.execute(tx)
            if executed:  # CheckTx keeps the effect of what it accepts until the next block
                assert NAMES[chain.check(tx)] == NAMES[executed], (place, other)


def _neighbours(value: object) -> Sequence[object]:
    """What almost stood there."""
    if isinstance(value, bytes):
        return [value + b"\x00", value[:-1], bytes([value[0] ^ 1]) + value[1:] if value else b"\x00"]
    if isinstance(value, list):
        return [value[:-1], [*value, *value[-1:]], value[::-1]]
    return [value + 1] if type(value) is int else []


A_ROW = {
    kinds.MULTI_SEND: lambda at: [at.to_bytes(20, "big"), 0],
    kinds.METERING_BATCH: lambda at: [at.to_bytes(32, "big"), 0],
    kinds.PARAMETER_CHANGE: lambda at: [f"name-{at:09}", 0],
    kinds.MULTISIG_CREATE: lambda at: at.to_bytes(20, "big"),
    kinds.MULTISIG_SPEND: lambda at: [at.to_bytes(20, "big"), 0],
    kinds.PROOF_BATCH: lambda at: [at.to_bytes(20, "big"), 0, 0, 0, 0, None, 0],
    kinds.PROOF_RESPONSE: lambda at: [bytes(32), 0],
    kinds.FRAUD_PROOF: lambda at: [bytes(32), 0],
}
LIMITS: list[tuple[int, Place, int]] = [
    (kinds.MULTI_SEND, (0,), MAX_PAYMENTS),
    (kinds.METERING_BATCH, (2,), MAX_METERED),
    (kinds.PARAMETER_CHANGE, (0,), MAX_CHANGES),
    (kinds.MULTISIG_CREATE, (0,), MAX_MEMBERS),
    (kinds.MULTISIG_SPEND, (1,), MAX_SPEND_PAYMENTS),
    (kinds.PROOF_BATCH, (8,), MAX_ENTRIES),
    (kinds.PROOF_RESPONSE, (2, 2), MAX_PATH),
    (kinds.FRAUD_PROOF, (3, 2), MAX_PATH),
]
"""Type, place of a list in its body, and how many rows it may have."""


def paid(chain: BusyChain, good: Good, body: object) -> bytes:
    """With the fee that a bulky transaction must pay."""
    size = len(said(chain, good, body, fee=2**100))
    return said(chain, good, body, fee=required_fee(size, chain.parameters.by_name))


@pytest.mark.parametrize(("kind", "place", "most"), LIMITS, ids=lambda value: TYPES.get(value, "") if value else "")
def test_a_list_over_its_limit_is_refused(chain: BusyChain, kind: int, place: Place, most: int) -> None:
    good = chain.good()[kind]
    full, over = ([A_ROW[kind](at) for at in range(1, count + 1)] for count in (most, most + 1))
    (filled,), _ = chain.execute(paid(chain, good, put(good.content[1], place, full)))
    assert NAMES[filled] != "malformed" or kind in (
        kinds.PROOF_BATCH,
        kinds.PARAMETER_CHANGE,
    )  # wrong sum, no such names
    over_the_limit = paid(chain, good, put(good.content[1], place, over))
    assert refused(chain, over_the_limit, proposable=True, charged=True) == "malformed"


@pytest.mark.parametrize("kind", [kinds.PROOF_RESPONSE, kinds.FRAUD_PROOF, kinds.CONTRADICTION], ids=TYPES.get)
def test_bytes_over_their_limit_are_refused(chain: BusyChain, kind: int) -> None:
    good = chain.good()[kind]
    for place, value in places(good.content[1]):
        if (isinstance(value, bytes) and len(value) > 32) or value == b"nothing at all":
            bloated = paid(chain, good, put(good.content[1], place, bytes(MAX_RECORD_BYTES + 1)))
            assert refused(chain, bloated, proposable=True, charged=True) == "malformed", place


def test_a_bulky_transaction_pays_for_its_size(chain: BusyChain) -> None:
    good = chain.good()[kinds.MULTI_SEND]
    body = [[A_ROW[kinds.MULTI_SEND](at) for at in range(MAX_PAYMENTS)]]
    assert refused(chain, said(chain, good, body), proposable=True) == "tx_fee_too_low"
    assert chain.execute(paid(chain, good, body))[0] == [0]


@pytest.mark.parametrize("amount", [10**28, 2**128 - 1])
def test_no_sum_of_payments_overflows(chain: BusyChain, amount: int) -> None:
    good = chain.good()[kinds.MULTI_SEND]
    code = "malformed" if 2 * amount >= 2**128 else "tx_insufficient_funds"
    rows = [[bytes(20), amount], [bytes(20), amount]]
    assert refused(chain, said(chain, good, [rows]), proposable=True, charged=True) == code


BY_ANYBODY = {
    *(kinds.TRANSFER, kinds.MULTI_SEND, kinds.DONATION, kinds.DATA_CENTER_REGISTER, kinds.DEAL_OPEN, kinds.DEAL_TOP_UP),
    *(kinds.MULTISIG_CREATE, kinds.PROOF_CHALLENGE, kinds.PROOF_RESPONSE, kinds.FRAUD_PROOF, kinds.DOUBLE_SIGN),
    *(kinds.CONTRADICTION, kinds.VESTING_RELEASE, kinds.BRIDGE_LOCK),
}
BY_A_STRANGER = dict.fromkeys(set(ALL_TYPES) - BY_ANYBODY, "tx_unauthorised") | {
    **dict.fromkeys((kinds.UNBOND, kinds.ADD_KEY, kinds.ROTATE_KEY, kinds.UNJAIL), "tx_unknown_operator"),
    kinds.BOND: "bad_signature",  # the keys in it proved themselves for another operator
    kinds.DEVICE_REGISTER: "bad_signature",  # and the device for another owner
    kinds.DATA_CENTER_REVOKE: "tx_not_registered",
}


@pytest.mark.parametrize("kind", sorted(BY_A_STRANGER), ids=TYPES.get)
def test_what_a_stranger_may_not_say_is_refused(chain: BusyChain, kind: int) -> None:
    stranger = Good("founder", chain.good()[kind].content)
    tx = cbor2.dumps(envelope(chain, stranger))
    assert refused(chain, tx, proposable=True, charged=True) == BY_A_STRANGER[kind]


@pytest.mark.parametrize("kind", sorted(BY_ANYBODY), ids=TYPES.get)
def test_what_anybody_may_say_is_not_refused(chain: BusyChain, kind: int) -> None:
    assert chain.execute(cbor2.dumps(envelope(chain, Good("founder", chain.good()[kind].content))))[0] == [0]
