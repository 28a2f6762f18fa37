"""Payments to many, donations, and accounts with several owners."""

from __future__ import annotations

import pytest

from chain.wire.payments import (
    Multisig,
    donation,
    multi_send,
    multisig_address,
    multisig_approve,
    multisig_create,
    multisig_key,
    multisig_spend,
)
from chain.wire.state import Account, account_key
from chain.wire.transactions import ANKR, transfer
from tests.chain.ledger.world import FEE, World, account

MEMBERS = ("anna", "bert", "cleo")
DAY_S = 86_400


@pytest.fixture
def world() -> World:
    world = World(grants=[(name, 2_000 * ANKR) for name in (*MEMBERS, "mallory")])
    world.block()
    return world


@pytest.fixture
def treasury(world: World) -> bytes:
    """The note's treasury: 100 ANKR a day by one member, more by two of three; it holds 900 ANKR."""
    content = multisig_create([account(name) for name in MEMBERS], 2, 100 * ANKR)
    address = multisig_address(account("anna"), world.account("anna").nonce)
    assert world.block(world.sign("anna", content)).results[0].ok
    assert world.block(world.sign("anna", transfer(address, 900 * ANKR))).results[0].ok
    return address


def held(world: World, address: bytes) -> int:
    return Account.decode(world.state.entries[account_key(address)]).balance_atto


def spend(world: World, name: str, treasury: bytes, amount: int) -> str:
    return world.block(world.sign(name, multisig_spend(treasury, [(account("shop"), amount)]))).results[0].error


def test_many_are_paid_by_one_transaction_or_nobody(world: World) -> None:
    rows = [(account("x"), 900 * ANKR), (account("y"), 1_000 * ANKR), (account("x"), 1)]
    assert world.block(world.sign("anna", multi_send(rows))).results[0].ok
    assert (world.balance("x"), world.balance("y")) == (900 * ANKR + 1, 1_000 * ANKR)
    assert world.balance("anna") == 100 * ANKR - 1 - FEE
    result = world.block(world.sign("anna", multi_send([(account("x"), 1), (account("y"), 95 * ANKR)]))).results[0]
    assert result.error == "tx_insufficient_funds" and world.balance("x") == 900 * ANKR + 1
    both = [[account("x"), 2**127], [account("y"), 2**127]]
    for body in ([[]], [], [[[account("x"), -1]]], [[[b"short", 1]]], [both]):
        assert world.block(world.sign("bert", (2, body))).results[0].error == "malformed"


def test_a_donation_reaches_those_who_earn(world: World) -> None:
    before = world.supply().reward_pool_atto
    assert world.block(world.sign("anna", donation(7 * ANKR, "for folding"))).results[0].ok
    assert world.supply().reward_pool_atto == before + 7 * ANKR + ANKR  # and a fifth of the fee
    assert world.block(world.sign("anna", donation(2_000 * ANKR))).results[0].error == "tx_insufficient_funds"


def test_one_member_spends_up_to_the_days_limit(world: World, treasury: bytes) -> None:
    assert spend(world, "bert", treasury, 60 * ANKR) == "" and spend(world, "cleo", treasury, 40 * ANKR) == ""
    assert world.balance("shop") == 100 * ANKR
    assert spend(world, "anna", treasury, 1) == ""  # opens a spend, pays nothing
    assert world.balance("shop") == 100 * ANKR
    world.block(after_s=DAY_S)
    assert spend(world, "anna", treasury, 100 * ANKR) == "" and world.balance("shop") == 200 * ANKR


def test_above_the_limit_two_of_three_must_sign(world: World, treasury: bytes) -> None:
    assert spend(world, "anna", treasury, 500 * ANKR) == "" and world.balance("shop") == 0
    again = world.block(world.sign("anna", multisig_approve(treasury, 0))).results[0]
    assert again.error == "tx_duplicate"
    assert world.block(world.sign("bert", multisig_approve(treasury, 0))).results[0].ok
    assert world.balance("shop") == 500 * ANKR and held(world, treasury) == 400 * ANKR
    late = world.block(world.sign("cleo", multisig_approve(treasury, 0))).results[0]
    assert late.error == "tx_late" and world.balance("shop") == 500 * ANKR
    assert Multisig.decode(world.state.entries[multisig_key(treasury)]).open == ()


def test_strangers_neither_spend_nor_approve(world: World, treasury: bytes) -> None:
    assert spend(world, "mallory", treasury, 1) == "tx_unauthorised"
    assert spend(world, "anna", account("bert"), 1) == "tx_unauthorised"
    spend(world, "anna", treasury, 500 * ANKR)
    assert world.block(world.sign("mallory", multisig_approve(treasury, 0))).results[0].error == "tx_unauthorised"
    assert held(world, treasury) == 900 * ANKR


def test_a_spend_expires_and_what_is_not_there_is_not_paid(world: World, treasury: bytes) -> None:
    assert spend(world, "anna", treasury, 901 * ANKR) == "tx_insufficient_funds"
    spend(world, "anna", treasury, 800 * ANKR)
    spend(world, "anna", treasury, 700 * ANKR)
    assert world.block(world.sign("bert", multisig_approve(treasury, 0))).results[0].ok
    short = world.block(world.sign("bert", multisig_approve(treasury, 1))).results[0]
    assert short.error == "tx_insufficient_funds"
    world.block(after_s=world.parameters.multisig_spend_s + 1)
    assert world.block(world.sign("cleo", multisig_approve(treasury, 1))).results[0].error == "tx_late"


def test_open_spends_are_bounded_and_make_room_when_they_expire(world: World, treasury: bytes) -> None:
    assert [spend(world, "anna", treasury, 200 * ANKR) for _ in range(17)] == [""] * 16 + ["tx_limit"]
    world.block(after_s=world.parameters.multisig_spend_s + 1)
    assert spend(world, "anna", treasury, 200 * ANKR) == ""
    assert len(Multisig.decode(world.state.entries[multisig_key(treasury)]).open) == 1
    assert sum(entry.startswith(b"spend/") for entry in world.state.entries) == 1


def test_a_policy_that_nobody_can_meet_is_refused(world: World) -> None:
    ours = sorted(account(name) for name in MEMBERS)
    for body in ([ours, 4, 0], [ours, 0, 0], [[], 1, 0], [[ours[0], ours[0]], 1, 0], [ours[::-1], 2, 0]):
        assert world.block(world.sign("anna", (30, body))).results[0].error == "malformed"
