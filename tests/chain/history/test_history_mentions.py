"""Whom and what a transaction's own bytes name, whatever a node's events say."""

from __future__ import annotations

import pytest

from chain.crypto.address import address, device_id
from chain.crypto.keys import PrivateKey
from chain.history.mentions import Mention, of_events, of_transaction
from chain.wire import deals, payments
from chain.wire.bodies import device_register, device_revoke, transfer
from chain.wire.transactions import Content, sign

ALICE = PrivateKey.from_secret("ed25519", bytes(range(32)))
DEVICE = PrivateKey.from_secret("p256", b"device".rjust(32, b"."))
ONE, TWO, THREE = (bytes([number]) * 20 for number in (1, 2, 3))
DEAL, OTHER = bytes([4]) * 32, bytes([5]) * 32
OPENED = deals.deal_id(address(ALICE.public), 7)


def named(content: Content) -> set[tuple[str, bytes, str]]:
    found = list(of_transaction(sign(ALICE, "chain", content, nonce=7, fee=1)))
    assert found[0] == Mention("address", address(ALICE.public), "sender", True) and all(one.proven for one in found)
    return {(one.kind, one.value, one.role) for one in found[1:]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (transfer(ONE, 1), {("address", ONE, "to")}),
        (
            payments.multi_send([(ONE, 1), (TWO, 1)]),
            {("address", ONE, "to"), ("address", TWO, "to")},
        ),
        (
            payments.multisig_create([ONE, TWO], 2, 0),
            {("address", ONE, "member"), ("address", TWO, "member")},
        ),
        (
            payments.multisig_spend(THREE, [(ONE, 1)]),
            {("address", THREE, "account"), ("address", ONE, "to")},
        ),
        (payments.multisig_approve(THREE, 0), {("address", THREE, "account")}),
        (device_register(DEVICE.public, bytes(64)), {("device", device_id(DEVICE.public), "device")}),
        (device_revoke(DEAL), {("device", DEAL, "device")}),
        (
            deals.deal_open(deals.DealOpen(ONE, TWO, THREE, 1, 0, bytes(32))),
            {("deal", OPENED, "deal"), ("address", ONE, "provider"), ("address", TWO, "app_provider")}
            | {("address", THREE, "platform")},
        ),
        (deals.deal_top_up(DEAL, 1), {("deal", DEAL, "deal")}),
        (deals.metering_batch(0, bytes(32), {DEAL: 1, OTHER: 2}), {("deal", DEAL, "deal"), ("deal", OTHER, "deal")}),
        (deals.deal_settle(DEAL, deals.DONE), {("deal", DEAL, "deal")}),
        (deals.rate(DEAL, 5), {("deal", DEAL, "deal")}),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
def test_a_transaction_is_found_by_all_that_its_bytes_name(
    content: Content, expected: set[tuple[str, bytes, str]]
) -> None:
    assert named(content) == expected


@pytest.mark.parametrize("number", [1, 2, 9, 10, 14, 15, 16, 24, 25, 26, 29, 30, 31, 32, 1_000])
def test_a_body_that_cannot_be_read_names_its_sender_only(number: int) -> None:
    assert named((number, [b"", "x"])) == set()


def test_events_name_what_looks_like_an_address_and_no_more() -> None:
    pairs = [("to", ONE.hex()), ("to", "AB" * 20), ("device", "zz"), ("deal", "ab"), ("x", "ab" * 32)]
    assert list(of_events([("kind", tuple(pairs))])) == [
        Mention("address", ONE, "to", False),
        Mention("deal", b"\xab", "deal", False),
    ]
