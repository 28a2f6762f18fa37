"""Bodies of transactions that pay: many recipients at once, donations, accounts with several owners.

A multisig account is made by one of its creators' transactions and has no key of its own: its address follows from the
creator and that transaction's nonce. Up to a daily limit one member spends alone; above it, `threshold` members must
agree (the note's treasury: 2 of 3).
"""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from typing import Any, NamedTuple

from chain.crypto.address import ADDRESS_BYTES
from chain.errors import Malformed
from chain.wire.amounts import MAX_AMOUNT
from chain.wire.bodies import Transfer
from chain.wire.fields import Fields
from chain.wire.kinds import (
    DONATION,
    MULTI_SEND,
    MULTISIG_APPROVE,
    MULTISIG_CREATE,
    MULTISIG_SPEND,
    Content,
)
from chain.wire.state import Entry

MULTISIG_TAG = b"dccn/multisig/v1"
MAX_PAYMENTS = 1_000
MAX_SPEND_PAYMENTS = 16
MAX_MEMBERS = 16
MAX_MEMO_BYTES = 128


class Donation(NamedTuple):
    """`[amount, memo / null]`: to everybody who earns, by way of the reward pool."""

    amount: int
    memo: str | None


class Policy(NamedTuple):
    """`[members, threshold, daily limit]`: members ascending; what one member may spend alone in a day, in atto."""

    members: tuple[bytes, ...]
    threshold: int
    daily_limit_atto: int


class Spend(NamedTuple):
    """`[account, [[to, amount], …]]` by a member."""

    account: bytes
    payments: tuple[Transfer, ...]


class Approval(NamedTuple):
    """`[account, number]`: a member agrees to the account's `number`-th open spend."""

    account: bytes
    number: int


class Multisig(Entry, frozen=True):
    """`multisig/` address(20): the policy, what was spent alone on `day` (days since 1970), and the open spends."""

    members: tuple[bytes, ...]
    threshold: int
    daily_limit_atto: int
    day: int
    spent_atto: int
    next_number: int
    open: tuple[int, ...]


class OpenSpend(Entry, frozen=True):
    """`spend/` address(20) u64be(number): payments that wait for more members, until `expires_ns`."""

    payments: tuple[tuple[bytes, int], ...]
    approvals: tuple[bytes, ...]
    expires_ns: int


def multisig_key(account: bytes) -> bytes:
    return b"multisig/" + account


def spend_key(account: bytes, number: int) -> bytes:
    return b"spend/" + account + number.to_bytes(8, "big")


def multisig_address(creator: bytes, nonce: int) -> bytes:
    """The address (20 bytes) of the account that `creator`'s transaction with this nonce makes."""
    return sha256(MULTISIG_TAG + creator + nonce.to_bytes(8, "big")).digest()[:ADDRESS_BYTES]


def multi_send(payments: list[tuple[bytes, int]]) -> Content:
    return MULTI_SEND, [[list(payment) for payment in payments]]


def donation(amount: int, memo: str | None = None) -> Content:
    return DONATION, [amount, memo]


def multisig_create(members: list[bytes], threshold: int, daily_limit_atto: int) -> Content:
    return MULTISIG_CREATE, [sorted(members), threshold, daily_limit_atto]


def multisig_spend(account: bytes, payments: list[tuple[bytes, int]]) -> Content:
    return MULTISIG_SPEND, [account, [list(payment) for payment in payments]]


def multisig_approve(account: bytes, number: int) -> Content:
    return MULTISIG_APPROVE, [account, number]


def read_multi_send(body: list[Any]) -> tuple[Transfer, ...]:
    return _read_payments(Fields(body, None, 1).array(0, MAX_PAYMENTS))


def read_donation(body: list[Any]) -> Donation:
    fields = Fields(body, None, 2)
    return Donation(fields.integer(0, 1, MAX_AMOUNT), fields.optional(1, lambda at: fields.text(at, MAX_MEMO_BYTES)))


def read_multisig_create(body: list[Any]) -> Policy:
    """Members must ascend, one place for each, and be enough for the threshold."""
    fields = Fields(body, None, 3)
    members = tuple(fields.octets_list(0, ADDRESS_BYTES, MAX_MEMBERS))
    if any(left >= right for left, right in pairwise(members)):
        raise Malformed("malformed", "the members of a multisig account ascend, one place for each")
    if not members:
        raise Malformed("malformed", "a multisig account without members")
    return Policy(members, fields.integer(1, 1, len(members)), fields.integer(2, 0, MAX_AMOUNT))


def read_multisig_spend(body: list[Any]) -> Spend:
    fields = Fields(body, None, 2)
    return Spend(fields.octets(0, ADDRESS_BYTES), _read_payments(fields.array(1, MAX_SPEND_PAYMENTS)))


def read_multisig_approve(body: list[Any]) -> Approval:
    fields = Fields(body, None, 2)
    return Approval(fields.octets(0, ADDRESS_BYTES), fields.integer(1))


def _read_payments(rows: list[object]) -> tuple[Transfer, ...]:
    if not rows:
        raise Malformed("malformed", "a payment to nobody")
    payments = []
    for row in rows:
        fields = Fields(row, None, 2)
        payments.append(Transfer(fields.octets(0, ADDRESS_BYTES), fields.integer(1, 0, MAX_AMOUNT)))
    if sum(payment.amount for payment in payments) > MAX_AMOUNT:
        raise Malformed("malformed", "the payments add up to more than 2^128 - 1")
    return tuple(payments)
