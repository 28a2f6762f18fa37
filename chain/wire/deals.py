"""Deals on the chain: bodies of their transactions, and their entry.

A customer puts ANKR into escrow for a provider, an application's maker and a platform (a hub). The platform meters the
use; what is metered is paid out of the escrow, with the fee that all three share.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from typing import Any, NamedTuple

from chain.crypto.address import ADDRESS_BYTES
from chain.errors import Malformed
from chain.wire.amounts import MAX_AMOUNT
from chain.wire.fields import Fields
from chain.wire.kinds import DEAL_OPEN, DEAL_SETTLE, DEAL_TOP_UP, METERING_BATCH, RATE, Content
from chain.wire.state import Entry

DEAL_TAG = b"dccn/deal/v1"
DEAL_PREFIX = b"deal/"
DONE, FAILED = "done", "failed"
MAX_METERED = 1_000

_HASH_BYTES = 32


class DealOpen(NamedTuple):
    """`[provider, application provider, platform, escrow, application permille, hash of the terms]`."""

    provider: bytes
    app_provider: bytes
    platform: bytes
    escrow_atto: int
    app_permille: int
    terms: bytes


class DealTopUp(NamedTuple):
    """`[deal, amount]` by anybody."""

    deal: bytes
    amount: int


class DealSettle(NamedTuple):
    """`[deal, outcome / null]`: null pays what is metered, "done" and "failed" close the deal as well."""

    deal: bytes
    outcome: str | None


class Metering(NamedTuple):
    """`[reward epoch, root, [[deal, used so far], …]]` by the deals' platform; deals ascend, use is cumulative."""

    reward_epoch: int
    root: bytes
    used: tuple[tuple[bytes, int], ...]


class Rating(NamedTuple):
    """`[deal, stars]`: 1 to 5, by the customer of a closed deal, once."""

    deal: bytes
    stars: int


class Deal(Entry, frozen=True):
    """`deal/` deal id(32). `escrow_atto` is what is left in it; `used_atto` was metered, `paid_atto` of it is paid.

    `exhausted` says that at some time more was metered than the escrow held; `outcome` closes the deal.
    """

    customer: bytes
    provider: bytes
    app_provider: bytes
    platform: bytes
    app_permille: int
    terms: bytes
    escrow_atto: int
    used_atto: int
    paid_atto: int
    metered_ns: int
    exhausted: bool
    outcome: str | None
    rated: bool


def deal_key(deal: bytes) -> bytes:
    return DEAL_PREFIX + deal


def deal_id(customer: bytes, nonce: int) -> bytes:
    """The id (32 bytes) of the deal that the customer's transaction with this nonce opens."""
    return sha256(DEAL_TAG + customer + nonce.to_bytes(8, "big")).digest()


def deal_open(deal: DealOpen) -> Content:
    return DEAL_OPEN, list(deal)


def deal_top_up(deal: bytes, amount: int) -> Content:
    return DEAL_TOP_UP, [deal, amount]


def deal_settle(deal: bytes, outcome: str | None = None) -> Content:
    return DEAL_SETTLE, [deal, outcome]


def metering_batch(reward_epoch: int, root: bytes, used: dict[bytes, int]) -> Content:
    return METERING_BATCH, [reward_epoch, root, [list(row) for row in sorted(used.items())]]


def rate(deal: bytes, stars: int) -> Content:
    return RATE, [deal, stars]


def read_deal_open(body: list[Any]) -> DealOpen:
    fields = Fields(body, None, 6)
    provider, app_provider, platform = (fields.octets(at, ADDRESS_BYTES) for at in range(3))
    escrow, app_permille = fields.integer(3, 1, MAX_AMOUNT), fields.integer(4, 0, 1_000)
    return DealOpen(provider, app_provider, platform, escrow, app_permille, fields.octets(5, _HASH_BYTES))


def read_deal_top_up(body: list[Any]) -> DealTopUp:
    fields = Fields(body, None, 2)
    return DealTopUp(fields.octets(0, _HASH_BYTES), fields.integer(1, 1, MAX_AMOUNT))


def read_deal_settle(body: list[Any]) -> DealSettle:
    fields = Fields(body, None, 2)
    outcome = fields.optional(1, lambda at: fields.text(at, 8))
    if outcome not in (None, DONE, FAILED):
        raise Malformed("malformed", f"an outcome is {DONE!r}, {FAILED!r} or null, not {outcome!r}")
    return DealSettle(fields.octets(0, _HASH_BYTES), outcome)


def read_metering_batch(body: list[Any]) -> Metering:
    fields = Fields(body, None, 3)
    used = []
    for row in fields.array(2, MAX_METERED):
        item = Fields(row, None, 2)
        used.append((item.octets(0, _HASH_BYTES), item.integer(1, 0, MAX_AMOUNT)))
    if not used or any(left[0] >= right[0] for left, right in pairwise(used)):
        raise Malformed("malformed", "metered deals ascend, one row for each")
    return Metering(fields.integer(0), fields.octets(1, _HASH_BYTES), tuple(used))


def read_rate(body: list[Any]) -> Rating:
    fields = Fields(body, None, 2)
    return Rating(fields.octets(0, _HASH_BYTES), fields.integer(1, 1, 5))
