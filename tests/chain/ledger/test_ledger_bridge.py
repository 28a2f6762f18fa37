"""The bridge's rules: who opens, locks, attests, stops; what is refused and changes nothing."""

from __future__ import annotations

import pytest

from chain.ledger.bridge import STATEMENT_S
from chain.wire.bridge import (
    BEP2,
    BRIDGE_KEY,
    ERC20,
    FORMS,
    GUARDIAN,
    MAX_GUARDIANS,
    MAX_SAID,
    STAKE,
    UNIT_ATTO,
    Lock,
    Statement,
    bridge_attest,
    bridge_guardians,
    bridge_lock,
    bridge_pause,
    lock_key,
)
from chain.wire.transactions import ANKR, Content
from tests.chain.ledger.bridged import ABROAD, DAILY_ANKR, GUARDIANS, PURSE, BridgedWorld
from tests.chain.ledger.world import FEE, World, account

DAY_S = 86_400


@pytest.fixture
def world() -> BridgedWorld:
    return BridgedWorld()


@pytest.mark.parametrize("form", FORMS)
def test_coins_go_abroad_and_come_back(world: BridgedWorld, form: str) -> None:
    units = 40 * ANKR // UNIT_ATTO[form]
    statement = world.burned(form, units)
    entry = Lock.decode(world.state.entries[lock_key(0)])
    assert entry == Lock(form, account("alice"), ABROAD, 40 * ANKR, world.height)
    assert (world.balance("alice"), world.bridged(form)) == (PURSE - 40 * ANKR - FEE, 40 * ANKR)
    assert [world.attest(name, statement) for name in GUARDIANS[:3]] == [""] * 3
    assert (world.balance("bob"), world.bridged(form)) == (PURSE + 40 * ANKR, 0)
    released = world.release(statement)
    assert released is not None and released.guardians == tuple(sorted(account(name) for name in GUARDIANS[:3]))
    assert all(world.said(name) == [] for name in GUARDIANS)
    assert world.attest(GUARDIANS[3], statement) == "tx_duplicate"


def test_a_bridge_without_guardians_is_closed_until_two_thirds_open_it() -> None:
    world = World(grants=[("alice", PURSE)])
    world.block()
    lock = world.sign("alice", bridge_lock(ERC20, ABROAD, ANKR))
    assert world.block(lock).results[0].error == "bridge_closed" and BRIDGE_KEY not in world.state.entries
    vote = world.sign("alice", bridge_guardians([account("alice")], 1))
    assert world.block(vote).results[0].error == "tx_unauthorised"


def test_two_thirds_change_the_guardians_and_close_the_bridge(world: BridgedWorld) -> None:
    statement = world.burned(ERC20, ANKR)
    assert world.attest(GUARDIANS[0], statement) == "" and world.said(GUARDIANS[0]) == [statement]
    same = bridge_guardians([account(name) for name in GUARDIANS], 3)
    assert world.send("operator-1", same) == "tx_duplicate"
    fewer = [account(name) for name in GUARDIANS[1:]]
    assert world.decide(bridge_guardians(fewer, 3)) == [""] * 3
    assert world.said(GUARDIANS[0]) == [] and world.attest(GUARDIANS[0], statement) == "tx_unauthorised"
    assert world.decide(bridge_guardians([], 0)) == [""] * 3
    assert world.lock("alice", ERC20, ANKR) == world.attest(GUARDIANS[1], statement) == "bridge_closed"
    assert world.bridged(ERC20) == ANKR  # what is abroad stays covered


def test_statements_said_before_a_lower_threshold_count_when_somebody_says_so_again(world: BridgedWorld) -> None:
    statement = world.burned(ERC20, ANKR)
    for name in GUARDIANS[:2]:
        assert world.attest(name, statement) == ""
    assert world.attest(GUARDIANS[0], statement) == "tx_duplicate"
    assert world.decide(bridge_guardians([account(name) for name in GUARDIANS[:2]], 2)) == [""] * 3
    assert world.attest(GUARDIANS[0], statement) == "" and world.release(statement) is not None


def test_one_guardian_stops_the_bridge_and_two_thirds_let_it_go_on(world: BridgedWorld) -> None:
    statement = world.burned(ERC20, ANKR)
    assert world.send("alice", bridge_pause(GUARDIAN, True)) == "tx_unauthorised"
    assert world.send(GUARDIANS[4], bridge_pause(GUARDIAN, True)) == ""
    assert world.send(GUARDIANS[3], bridge_pause(GUARDIAN, True)) == "tx_duplicate"
    assert world.lock("alice", ERC20, ANKR) == world.attest(GUARDIANS[0], statement) == "bridge_paused"
    assert world.send(GUARDIANS[4], bridge_pause(GUARDIAN, False)) == "tx_unauthorised"
    assert world.send(GUARDIANS[4], bridge_pause(STAKE, False)) == "tx_unauthorised"
    assert world.decide(bridge_pause(STAKE, False)) == [""] * 3
    assert world.attest(GUARDIANS[0], statement) == ""
    assert world.decide(bridge_pause(STAKE, True)) == [""] * 3 and world.bridge.paused


def test_more_than_is_locked_is_never_released(world: BridgedWorld) -> None:
    statement = world.burned(ERC20, 10 * ANKR)
    more = statement._replace(amount_atto=10 * ANKR + 1)
    other_form = statement._replace(form=BEP2)
    assert world.attest(GUARDIANS[0], more) == world.attest(GUARDIANS[0], other_form) == "bridge_uncovered"
    assert world.attest(GUARDIANS[0], statement) == ""


def test_a_day_releases_up_to_its_limit_and_the_next_one_goes_on(world: BridgedWorld) -> None:
    first = world.burned(ERC20, (DAILY_ANKR - 1) * ANKR)
    second, other = world.burned(ERC20, 2 * ANKR), world.burned(BEP2, 10**8)
    for statement in (first, other):
        assert [world.attest(name, statement) for name in GUARDIANS[:3]] == [""] * 3  # a form has its own limit
    assert [world.attest(name, second) for name in GUARDIANS[:3]] == ["", "", "bridge_limit"]
    assert world.release(second) is None and world.said(GUARDIANS[2]) == []
    world.block(after_s=DAY_S)
    assert world.attest(GUARDIANS[2], second) == "" and world.release(second) is not None
    assert world.bridge.released[FORMS.index(ERC20)][1] == 2 * ANKR


def test_statements_expire_after_seven_days(world: BridgedWorld) -> None:
    statement = world.burned(ERC20, ANKR)
    for name in GUARDIANS[:2]:
        assert world.attest(name, statement) == ""
    world.block(after_s=STATEMENT_S + 1)
    assert world.attest(GUARDIANS[2], statement) == "" and world.release(statement) is None
    assert [world.attest(name, statement) for name in GUARDIANS[:2]] == [""] * 2 and world.release(statement)


def test_a_guardian_stands_for_one_statement_about_a_burn(world: BridgedWorld) -> None:
    statement = world.burned(ERC20, ANKR)
    wrong = statement._replace(recipient=account("alice"))
    assert world.attest(GUARDIANS[0], wrong) == world.attest(GUARDIANS[1], wrong) == ""
    assert world.attest(GUARDIANS[0], statement) == "" and world.said(GUARDIANS[0]) == [statement]
    assert world.attest(GUARDIANS[2], wrong) == "" and world.release(wrong) is None
    assert world.attest(GUARDIANS[3], statement) == "" == world.attest(GUARDIANS[4], statement)
    released = world.release(statement)
    assert released is not None and released.recipient == account("bob")
    assert world.said(GUARDIANS[1]) == world.said(GUARDIANS[2]) == []


def test_a_full_queue_of_one_guardian_is_its_own(world: BridgedWorld) -> None:
    statement = world.burned(ERC20, ANKR)
    for number in range(MAX_SAID):
        lie = Statement(ERC20, number.to_bytes(32, "big"), account("alice"), ANKR)
        assert world.attest(GUARDIANS[0], lie) == ""
    assert world.attest(GUARDIANS[0], statement) == "tx_limit"
    assert [world.attest(name, statement) for name in GUARDIANS[1:4]] == [""] * 3 and world.release(statement)


def test_guardians_may_be_as_many_as_twenty_one_and_must_be_more_than_half(world: BridgedWorld) -> None:
    many = [account(f"g{number}") for number in range(MAX_GUARDIANS)]
    assert world.decide(bridge_guardians(many, 11)) == [""] * 3
    assert len(world.bridge.guardians) == MAX_GUARDIANS and world.bridge.threshold == 11


BURN, TO = b"b" * 32, b"r" * 20
MISSHAPEN: dict[str, Content] = {
    "an unknown form": bridge_lock("trc20", ABROAD, ANKR),
    "the native form": bridge_lock("native", ABROAD, ANKR),
    "the zero address": bridge_lock(ERC20, bytes(20), ANKR),
    "a short address": bridge_lock(ERC20, bytes(19), ANKR),
    "nothing": bridge_lock(ERC20, ABROAD, 0),
    "less than nothing": bridge_lock(ERC20, ABROAD, -1),
    "a fraction of BEP2's unit": bridge_lock(BEP2, ABROAD, ANKR + 1),
    "a fraction attested": bridge_attest(Statement(BEP2, BURN, TO, 10**10 - 1)),
    "a short burn": bridge_attest(Statement(ERC20, BURN[1:], TO, 1)),
    "half the guardians": bridge_guardians([account("a"), account("b")], 1),
    "more than all guardians": bridge_guardians([account("a")], 2),
    "a threshold of nobody": bridge_guardians([], 1),
    "one guardian twice": bridge_guardians([account("a"), account("a")], 2),
    "too many guardians": bridge_guardians([account(f"g{n}") for n in range(MAX_GUARDIANS + 1)], 12),
    "a voice of nobody": bridge_pause("hub", True),
    "a pause that is a number": (bridge_pause(GUARDIAN, True)[0], [GUARDIAN, 1]),
}


@pytest.mark.parametrize("content", MISSHAPEN.values(), ids=MISSHAPEN)
def test_misshapen_contents_are_refused(world: BridgedWorld, content: Content) -> None:
    before = dict(world.state.entries)
    assert world.send("guardian-1", content) == "malformed"
    changed = {key for key, value in world.state.entries.items() if before.get(key) != value}
    assert not any(key.startswith((b"bridge/", b"motion/")) for key in changed)


def test_what_an_account_does_not_have_is_not_locked(world: BridgedWorld) -> None:
    assert world.lock("alice", ERC20, PURSE) == "tx_insufficient_funds"  # the fee is missing
    assert world.lock("bob", ERC20, 2**128 - 1) == "tx_insufficient_funds"
    assert world.lock("alice", ERC20, PURSE - 2 * FEE) == ""
    assert world.balance("alice") == 0
