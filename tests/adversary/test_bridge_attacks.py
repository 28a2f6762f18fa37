"""Attacks on the bridge: by guardians, by stake, by strangers. All must fail, or stay within the bound they name."""

from __future__ import annotations

import pytest

from chain.ledger.bridge import STATEMENT_S
from chain.wire.bridge import (
    BEP2,
    ERC20,
    GUARDIAN,
    STAKE,
    Statement,
    bridge_attest,
    bridge_guardians,
    bridge_lock,
    bridge_pause,
)
from chain.wire.transactions import ANKR, sign
from tests.chain.ledger.bridged import ABROAD, DAILY_ANKR, GUARDIANS, PURSE, BridgedWorld
from tests.chain.ledger.foreign import ForeignRefusal
from tests.chain.ledger.world import FEE, account, key

DAILY = DAILY_ANKR * ANKR
HONEST, LIARS = GUARDIANS[:3], GUARDIANS[3:]


@pytest.fixture
def world() -> BridgedWorld:
    return BridgedWorld()


def lie_about(number: int, amount_atto: int, form: str = ERC20) -> Statement:
    return Statement(form, number.to_bytes(32, "big"), account("mallory"), amount_atto)


def test_liars_who_speak_first_do_not_take_anothers_burn(world: BridgedWorld) -> None:
    truth = world.burned(ERC20, 50 * ANKR)
    for name in LIARS:
        assert world.attest(name, truth._replace(recipient=account("mallory"))) == ""
    assert [world.attest(name, truth) for name in HONEST] == [""] * 3
    assert (world.balance("mallory"), world.balance("bob")) == (0, PURSE + 50 * ANKR)
    assert [world.attest(name, truth._replace(recipient=account("mallory"))) for name in LIARS] == ["tx_duplicate"] * 2


def test_a_released_burn_is_not_released_again_under_any_other_words(world: BridgedWorld) -> None:
    truth = world.burned(ERC20, 50 * ANKR)
    world.burned(ERC20, 200 * ANKR)
    for name in HONEST:
        world.attest(name, truth)
    for again in (truth, truth._replace(amount_atto=1), truth._replace(recipient=account("mallory"))):
        assert [world.attest(name, again) for name in GUARDIANS] == ["tx_duplicate"] * 5
    world.block(after_s=40 * 86_400)
    assert world.attest(GUARDIANS[0], truth) == "tx_duplicate"
    assert world.decide(bridge_guardians([account("alice")], 1)) == [""] * 3
    assert world.attest("alice", truth._replace(recipient=account("mallory"))) == "tx_duplicate"


def test_the_same_signed_statement_counts_once(world: BridgedWorld) -> None:
    truth = world.burned(ERC20, ANKR)
    said = world.sign(GUARDIANS[0], bridge_attest(truth))
    errors = [result.error for result in world.block(said, said, said).results]
    assert errors == ["", "tx_bad_nonce", "tx_bad_nonce"] and world.release(truth) is None


def test_a_statement_signed_for_another_chain_is_no_statement(world: BridgedWorld) -> None:
    truth = world.burned(ERC20, ANKR)
    nonce = world.account(GUARDIANS[0]).nonce
    elsewhere = sign(key(GUARDIANS[0]), "dccn-testnet", bridge_attest(truth), nonce=nonce, fee=FEE)
    assert world.block(elsewhere).results[0].error == "bad_signature" and world.said(GUARDIANS[0]) == []


def test_a_stranger_neither_attests_nor_pauses_nor_chooses(world: BridgedWorld) -> None:
    truth = world.burned(ERC20, ANKR)
    contents = (
        bridge_attest(truth),
        bridge_pause(GUARDIAN, True),
        bridge_pause(STAKE, True),
        bridge_guardians([account("bob")], 1),
    )
    assert [world.send("bob", content) for content in contents] == ["tx_unauthorised"] * 4


def test_a_guardian_that_changes_its_mind_counts_once_for_each_side(world: BridgedWorld) -> None:
    """Two of five and a turncoat are not two majorities."""
    truth = world.burned(ERC20, ANKR)
    false = truth._replace(recipient=account("mallory"))
    for name in LIARS:
        world.attest(name, false)
    for name in HONEST[:2]:
        world.attest(name, truth)
    turncoat = LIARS[0]
    assert world.attest(turncoat, truth) == "" and world.release(truth) is not None
    assert world.attest(HONEST[2], false) == "tx_duplicate" and world.balance("mallory") == 0


def test_a_guardian_that_was_voted_out_left_no_voice_behind(world: BridgedWorld) -> None:
    world.burned(ERC20, 50 * ANKR)
    false = lie_about(1, 50 * ANKR)
    for name in LIARS:
        assert world.attest(name, false) == ""
    new = [account(name) for name in (*HONEST, "guardian-6", "guardian-7")]
    world.decide(bridge_guardians(new, 3))
    world.decide(bridge_guardians([account(name) for name in GUARDIANS], 3))
    assert world.said(LIARS[0]) == world.said(LIARS[1]) == []
    assert world.attest(HONEST[0], false) == "" and world.release(false) is None


def test_old_lies_do_not_wait_for_company(world: BridgedWorld) -> None:
    world.burned(ERC20, 50 * ANKR)
    for number, name in enumerate(GUARDIANS):
        assert world.attest(name, lie_about(1, 50 * ANKR)) == ""
        world.block(after_s=STATEMENT_S // 2 + 1)
        assert world.release(lie_about(1, 50 * ANKR)) is None, f"after {number + 1} guardians"


@pytest.mark.parametrize("amount_atto", [2**128 - 1, 10**10 * ANKR, 50 * ANKR + 1])
def test_not_even_all_guardians_release_more_than_is_locked(world: BridgedWorld, amount_atto: int) -> None:
    world.burned(ERC20, 50 * ANKR)
    assert world.lock("alice", BEP2, 100 * ANKR) == ""  # another form's coins cover nothing
    answers = [world.attest(name, lie_about(1, amount_atto)) for name in GUARDIANS]
    assert answers == ["bridge_uncovered"] * 5 and world.balance("mallory") == 0


def test_a_majority_that_lies_takes_a_days_limit_until_one_honest_guardian_stops_it(world: BridgedWorld) -> None:
    """The bound: twice the limit when it begins just before midnight, as every limit by days has it."""
    assert world.lock("alice", ERC20, 10 * DAILY) == ""
    world.block(after_s=86_400 - world.time_ns // 10**9 % 86_400 - 1)
    taken = 0
    for number in range(8):
        if number == 4:
            world.block(after_s=2)
        for name in GUARDIANS[:3]:
            world.attest(name, lie_about(number, DAILY // 2))
        assert world.balance("mallory") >= taken
        taken = world.balance("mallory")
    assert taken == 2 * DAILY
    assert world.send(GUARDIANS[4], bridge_pause(GUARDIAN, True)) == ""
    world.block(after_s=86_400)
    assert {world.attest(name, lie_about(99, 1)) for name in GUARDIANS[:3]} == {"bridge_paused"}
    assert world.balance("mallory") == 2 * DAILY


def test_a_third_of_the_stake_neither_appoints_guardians_nor_ends_a_pause(world: BridgedWorld) -> None:
    world.send(GUARDIANS[0], bridge_pause(GUARDIAN, True))
    for content in (bridge_pause(STAKE, False), bridge_guardians([account("mallory")], 1)):
        assert [world.send(name, content) for name in world.operators[:2]] == [""] * 2
        assert world.send(world.operators[0], content) == "tx_duplicate"
    assert world.bridge.paused and account("mallory") not in world.bridge.guardians


def test_a_failed_lock_mints_nothing_and_a_lock_mints_once(world: BridgedWorld) -> None:
    assert world.lock("bob", ERC20, 2 * PURSE) == "tx_insufficient_funds"
    for form in (ERC20, BEP2):
        with pytest.raises(ForeignRefusal):
            world.foreign[form].mint(0, world.state)
    assert world.lock("bob", ERC20, ANKR) == ""
    with pytest.raises(ForeignRefusal):
        world.foreign[BEP2].mint(0, world.state)
    world.foreign[ERC20].mint(0, world.state)
    with pytest.raises(ForeignRefusal):
        world.foreign[ERC20].mint(0, world.state)
    assert world.foreign[ERC20].total_atto == world.bridged(ERC20) == ANKR


def test_locks_and_statements_of_one_block_count_in_their_order(world: BridgedWorld) -> None:
    """A release cannot lean on a lock that comes after it in the block."""
    lie = [world.sign(name, bridge_attest(lie_about(1, ANKR))) for name in GUARDIANS[:3]]
    after = world.sign("alice", bridge_lock(ERC20, ABROAD, ANKR))
    errors = [result.error for result in world.block(*lie, after).results]
    assert errors == ["bridge_uncovered"] * 3 + [""] and world.bridged(ERC20) == ANKR
