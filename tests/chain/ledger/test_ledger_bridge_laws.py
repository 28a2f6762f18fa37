"""Random lives of a bridge whose majority is honest: one supply in three forms, whatever the rest says."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.ledger.bridge import STATEMENT_S
from chain.ledger.parameters import SUPPLY_ATTO
from chain.wire.bridge import (
    FORMS,
    GUARDIAN,
    RELEASE_PREFIX,
    STAKE,
    UNIT_ATTO,
    Lock,
    Release,
    Statement,
    bridge_pause,
    lock_key,
    released_form,
)
from chain.wire.transactions import ANKR
from tests.chain.ledger.bridged import ABROAD, DAILY_ANKR, GUARDIANS, THRESHOLD, BridgedWorld
from tests.chain.ledger.foreign import ForeignRefusal
from tests.chain.ledger.world import account

HONEST, LIARS = GUARDIANS[:THRESHOLD], GUARDIANS[THRESHOLD:]
PEOPLE = ("alice", "bob")

Numbers = tuple[int, int, int]


def lock(world: BridgedWorld, form: str, numbers: Numbers) -> None:
    """Often more than the account has, or a fraction that the form cannot move: those must change nothing."""
    one, two, _ = numbers
    world.lock(PEOPLE[one % 2], form, two if one % 5 == 0 else two // UNIT_ATTO[form] * UNIT_ATTO[form])


def mint(world: BridgedWorld, form: str, numbers: Numbers) -> None:
    attempt(lambda: world.foreign[form].mint(numbers[0] % (world.bridge.next_lock + 1), world.state))


def move_abroad(world: BridgedWorld, form: str, numbers: Numbers) -> None:
    attempt(lambda: world.foreign[form].transfer(ABROAD, bytes([1 + numbers[0] % 3]) * 20, 1 + numbers[1] % 10**8))


def burn(world: BridgedWorld, form: str, numbers: Numbers) -> None:
    one, two, _ = numbers
    attempt(lambda: world.foreign[form].burn(ABROAD, 1 + two // UNIT_ATTO[form] // 3, account(PEOPLE[one % 2])))


def tell_the_truth(world: BridgedWorld, form: str, numbers: Numbers) -> None:
    one, two, _ = numbers
    burns = list(world.foreign[form].burns.values())
    if burns:
        world.attest(GUARDIANS[one % len(GUARDIANS)], burns[two % len(burns)])


def agree(world: BridgedWorld, form: str, numbers: Numbers) -> None:
    """All honest guardians see a burn, one after another."""
    burns = list(world.foreign[form].burns.values())
    for name in HONEST if burns else ():
        world.attest(name, burns[numbers[0] % len(burns)])


def lie(world: BridgedWorld, form: str, numbers: Numbers) -> None:
    """Both liars agree: of a burn that never was, or of a real one for themselves or of another amount."""
    one, two, three = numbers
    burns = list(world.foreign[form].burns.values())
    never = Statement(form, bytes([one % 7]) * 32, account(LIARS[0]), UNIT_ATTO[form] * (1 + two % 50))
    real = burns[three % len(burns)]._replace(recipient=account(LIARS[0])) if burns else never
    for name in LIARS:
        world.attest(name, real if one % 2 else never)


def pause(world: BridgedWorld, form: str, numbers: Numbers) -> None:
    world.send(GUARDIANS[numbers[0] % len(GUARDIANS)], bridge_pause(GUARDIAN, bool(numbers[1] % 2)))


def go_on(world: BridgedWorld, form: str, numbers: Numbers) -> None:
    if world.bridge.paused:
        world.decide(bridge_pause(STAKE, False))


def time_passes(world: BridgedWorld, form: str, numbers: Numbers) -> None:
    world.block(after_s=(3_600, 86_400, STATEMENT_S + 1)[numbers[0] % 3])


STEPS = (lock, lock, mint, mint, move_abroad, burn, burn, tell_the_truth, agree, agree, lie, pause, go_on, time_passes)
numbers = st.tuples(st.integers(0, 60), st.integers(0, 700 * ANKR), st.integers(0, 9))


def attempt(act: Callable[[], object]) -> None:
    try:
        act()
    except ForeignRefusal:
        return


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(FORMS), numbers), max_size=40))
def test_one_supply_in_three_forms_and_nothing_released_twice_or_for_a_lie(
    life: list[tuple[Callable[[BridgedWorld, str, Numbers], None], str, Numbers]],
) -> None:
    world = BridgedWorld(THRESHOLD)
    for step, form, with_numbers in life:
        step(world, form, with_numbers)  # the world recounts its supply after every block
        for each in FORMS:
            assert_covered(world, each)
    supply = world.supply()
    native = supply.total_atto - supply.bridged_bep2_atto - supply.bridged_erc20_atto
    assert native + sum(world.bridged(form) for form in FORMS) == SUPPLY_ATTO


def assert_covered(world: BridgedWorld, form: str) -> None:
    """Exactly: locked = exists abroad + locked and not minted yet + burned and not released yet."""
    foreign, released = world.foreign[form], releases(world, form)
    locks = {n: Lock.decode(world.state.entries[lock_key(n)]) for n in range(world.bridge.next_lock)}
    waiting = sum(lock.amount_atto for n, lock in locks.items() if lock.form == form and n not in foreign.minted)
    for burn_id, release in released.items():
        assert foreign.burns[burn_id][2:] == (release.recipient, release.amount_atto)
        assert len(release.guardians) >= THRESHOLD
    burned = sum(statement.amount_atto for burn_id, statement in foreign.burns.items() if burn_id not in released)
    assert world.bridged(form) == foreign.total_atto + waiting + burned
    assert world.bridge.released[FORMS.index(form)][1] <= DAILY_ANKR * ANKR


def releases(world: BridgedWorld, form: str) -> dict[bytes, Release]:
    keys = [key for key in world.state.entries if key.startswith(RELEASE_PREFIX) and released_form(key) == form]
    return {key[-32:]: Release.decode(world.state.entries[key]) for key in keys}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LIARS), st.integers(0, 3), st.integers(1, 9)), max_size=25))
def test_a_minority_of_guardians_never_releases_anything(said: list[tuple[str, int, int]]) -> None:
    world = BridgedWorld(THRESHOLD)
    world.burned(FORMS[1], 100 * ANKR)
    before = world.bridged(FORMS[1])
    for name, number, amount in said:
        world.attest(name, Statement(FORMS[1], bytes([number]) * 32, account(name), amount))
    assert world.bridged(FORMS[1]) == before and releases(world, FORMS[1]) == {}
