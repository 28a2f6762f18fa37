"""Transfers, fees, nonces and sponsors, as results of blocks."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from chain.errors import REGISTRY, Faulty
from chain.ledger.machine import CheckContext, Overlay, admit_transaction, check_transaction
from chain.wire import cbor
from chain.wire.transactions import ANKR, beacon_tx, sign, sponsor, transfer
from tests.chain.ledger.world import CHAIN, FEE, World, account, key


@pytest.fixture
def world() -> World:
    world = World(grants=[("alice", 1_000 * ANKR)])
    world.block()
    return world


def context(world: World) -> CheckContext:
    return CheckContext(CHAIN, world.height + 1, world.time_ns)


def test_the_fee_comes_on_top_of_the_amount(world: World) -> None:
    output = world.block(world.sign("alice", transfer(account("bob"), 10 * ANKR)))
    assert output.results[0].ok and output.touches_state
    assert world.balance("bob") == 10 * ANKR
    assert world.account("alice") == type(world.account("alice"))(985 * ANKR, 1)
    assert output.results[0].events[0].attributes[2] == ("amount_atto", str(10 * ANKR))


def test_the_fee_goes_to_proposer_precommits_and_reward_pool(world: World) -> None:
    world.block(world.sign("alice", transfer(account("bob"), 0)))
    proposer = world.operators[world.height % 4]
    parts = {name: world.balance(name) for name in world.operators}
    assert parts.pop(proposer) == FEE // 2 + FEE * 3 // 40
    assert set(parts.values()) == {FEE * 3 // 40}
    assert world.supply().reward_pool_atto == ANKR


def test_the_first_block_has_no_precommits_so_their_part_goes_to_the_pool() -> None:
    world = World(grants=[("alice", 1_000 * ANKR)])
    world.block(world.sign("alice", transfer(account("bob"), 0)))
    assert world.supply().reward_pool_atto == FEE // 2


def test_indivisible_fees_lose_no_unit(world: World) -> None:
    for odd in (1, 3, 7, 11):
        assert world.block(world.sign("alice", transfer(account("bob"), 1), fee=FEE + odd)).results[0].ok


def test_a_transfer_to_oneself_costs_the_fee(world: World) -> None:
    assert world.block(world.sign("alice", transfer(account("alice"), 900 * ANKR))).results[0].ok
    assert world.balance("alice") == 995 * ANKR


def test_nonces_follow_one_another_within_a_block(world: World) -> None:
    txs = [world.sign("alice", transfer(account("bob"), 1), ahead=n) for n in (0, 1, 3, 2)]
    errors = [result.error for result in world.block(*txs).results]
    assert errors == ["", "", "tx_bad_nonce", ""]
    assert world.account("alice").nonce == 3


def test_the_same_bytes_twice_count_once(world: World) -> None:
    tx = world.sign("alice", transfer(account("bob"), ANKR))
    assert [result.error for result in world.block(tx, tx).results] == ["", "tx_bad_nonce"]
    assert world.block(tx).results[0].error == "tx_bad_nonce"
    assert world.balance("bob") == ANKR


def test_a_refusal_by_content_costs_fee_and_nonce(world: World) -> None:
    result = world.block(world.sign("alice", transfer(account("bob"), 996 * ANKR))).results[0]
    assert (result.error, result.charged, result.code) == (
        "tx_insufficient_funds", True, REGISTRY["tx_insufficient_funds"].number,
    )  # fmt: skip
    assert (world.balance("alice"), world.account("alice").nonce, world.balance("bob")) == (995 * ANKR, 1, 0)


def _refused(world: World, raw: bytes) -> str:
    before = dict(world.state.entries)
    result = world.block(raw).results[0]
    changed = {k for k in before.keys() | world.state.entries.keys() if before.get(k) != world.state.entries.get(k)}
    assert not result.charged and not any(k.startswith(b"account/") for k in changed)
    return result.error


def test_what_is_refused_at_the_door_changes_no_account(world: World) -> None:
    good = world.sign("alice", transfer(account("bob"), ANKR))
    stranger = sign(key("stranger"), CHAIN, transfer(account("bob"), 1), nonce=0, fee=FEE)
    assert _refused(world, replace(good, signature=bytes(64)).encode()) == "bad_signature"
    assert _refused(world, replace(good, signature=b"").encode()) == "bad_signature"
    assert _refused(world, replace(good, fee=FEE + 1).encode()) == "bad_signature"
    assert _refused(world, replace(good, sender=key("bob").public).encode()) == "bad_signature"
    assert _refused(world, sign(key("alice"), "other", (1, good.body), nonce=0, fee=FEE).encode()) == "bad_signature"
    assert _refused(world, world.sign("alice", transfer(account("bob"), 1), fee=FEE - 1).encode()) == "tx_fee_too_low"
    assert _refused(world, world.sign("alice", transfer(account("bob"), 1), nonce=7).encode()) == "tx_bad_nonce"
    assert _refused(world, world.sign("alice", (99, [])).encode()) == "tx_unknown_type"
    assert _refused(world, world.sign("alice", (0, [])).encode()) == "tx_system"
    assert _refused(world, stranger.encode()) == "tx_insufficient_funds"
    assert _refused(world, good.encode()[:-1]) == "malformed"
    assert _refused(world, beacon_tx(bytes(80))) == "malformed"
    assert _refused(world, b"") == "malformed"
    assert _refused(world, cbor.encode([1, 2])) == "malformed"
    late = world.sign("alice", transfer(account("bob"), 1), valid_until_height=world.height)
    assert _refused(world, late.encode()) == "tx_expired"
    assert world.block(good).results[0].ok


def test_a_bulky_transaction_pays_for_its_bytes(world: World) -> None:
    bulky = world.sign("alice", (1, [account("bob"), 1, bytes(5_000)]))
    assert world.block(bulky).results[0].error == "tx_fee_too_low"
    paid = world.sign("alice", (1, [account("bob"), 1, bytes(5_000)]), fee=7 * ANKR)
    assert world.block(paid).results[0].error == "malformed"  # the content; size and fee were fine


def test_a_sponsor_pays_for_an_account_that_owns_nothing(world: World) -> None:
    tx = sponsor(world.sign("newcomer", (1, [account("bob"), 0]), fee_payer=world.hub.public), world.hub, CHAIN)
    assert world.block(tx).results[0].ok
    assert world.balance("hub") == 1_000_000 * ANKR - FEE
    assert (world.account("newcomer").nonce, world.account("hub").nonce) == (1, 0)


def test_a_sponsors_signature_is_needed_and_must_be_his(world: World) -> None:
    unsponsored = world.sign("newcomer", transfer(account("bob"), 0), fee_payer=world.hub.public)
    assert _refused(world, unsponsored.encode()) == "bad_signature"
    forged = replace(unsponsored, fee_signature=key("newcomer").sign(unsponsored.sign_bytes(CHAIN)))
    assert _refused(world, forged.encode()) == "bad_signature"


def test_nobody_sponsors_himself(world: World) -> None:
    own = world.sign("alice", transfer(account("bob"), 0), fee_payer=key("alice").public)
    assert _refused(world, sponsor(own, key("alice"), CHAIN).encode()) == "malformed"


def test_a_sponsors_quota_per_owner_starts_anew_each_election_epoch(world: World) -> None:
    def sponsored(owner: str) -> str:
        tx = world.sign(owner, transfer(account("bob"), 0), fee_payer=world.hub.public)
        return world.block(sponsor(tx, world.hub, CHAIN)).results[0].error

    assert [sponsored("carol") for _ in range(11)] == [""] * 10 + ["tx_quota"]
    assert sponsored("dave") == ""
    world.block(after_s=world.parameters.election_epoch_s)
    assert sponsored("carol") == ""


def test_checking_writes_nothing_and_says_what_a_block_would_say(world: World) -> None:
    before, writes = dict(world.state.entries), world.state.writes
    good = world.sign("alice", transfer(account("bob"), ANKR))
    poor = world.sign("alice", transfer(account("bob"), 10_000 * ANKR))
    assert check_transaction(world.state, good, context(world)).ok
    assert check_transaction(world.state, poor, context(world)).error == "tx_insufficient_funds"
    assert check_transaction(world.state, replace(good, signature=bytes(64)), context(world)).error == "bad_signature"
    known = CheckContext(CHAIN, world.height + 1, world.time_ns, verified=True)
    assert check_transaction(world.state, replace(good, signature=bytes(64)), known).ok
    assert (world.state.entries, world.state.writes) == (before, writes)


def test_a_mempool_overlay_admits_one_transaction_after_another(world: World) -> None:
    overlay, writes = Overlay(world.state), world.state.writes
    first, second = (world.sign("alice", transfer(account("bob"), 900 * ANKR - n), ahead=n) for n in (0, 1))
    assert admit_transaction(overlay, second, context(world)).error == "tx_bad_nonce"
    assert admit_transaction(overlay, first, context(world)).ok
    assert admit_transaction(overlay, second, context(world)).error == "tx_insufficient_funds"
    small = world.sign("alice", transfer(account("bob"), ANKR), ahead=1)
    assert admit_transaction(overlay, small, context(world)).ok
    assert admit_transaction(overlay, small, context(world)).error == "tx_bad_nonce"
    assert world.state.writes == writes


def test_known_good_signatures_are_not_verified_again(world: World) -> None:
    unsigned = replace(world.sign("alice", transfer(account("bob"), ANKR)), signature=bytes(64)).encode()
    block = replace(world.block_input([unsigned]), verified={sha256(unsigned).digest()})
    assert world.run(block).results[0].ok


def test_a_fault_propagates_and_leaves_no_trace(world: World) -> None:
    good = world.sign("alice", transfer(account("bob"), ANKR))
    before = dict(world.state.entries)
    with pytest.raises(Faulty):
        world.run(replace(world.block_input([good]), proposer=bytes(20)))
    assert world.state.entries == before
    world.state.entries[b"account/" + account("bob")] = b"\xff"
    damaged = dict(world.state.entries)
    with pytest.raises(Faulty):
        world.run(world.block_input([good]))
    assert world.state.entries == damaged
