"""Proposers on CometBFT: its arithmetic to the unit, and the beacon's draw that is led through it."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain import slsbft
from chain.application.priorities import Rotation
from chain.application.proposers import MIN_POWER, first_rotation, is_led, lead
from chain.errors import Faulty

# What CometBFT v0.38.26's own types.ValidatorSet answered to random updates; rows are (key, power, priority).
ANSWERS = json.loads((Path(__file__).parents[2] / "data" / "cometbft-priorities.json").read_text())
KEYS = [bytes.fromhex(key) for key in ANSWERS["keys"]]
POWER = 10**9


@pytest.mark.parametrize("scenario", range(len(ANSWERS["scenarios"])))
def test_priorities_are_cometbfts_to_the_unit(scenario: int) -> None:
    given_ = ANSWERS["scenarios"][scenario]
    rotation = None
    for number, step in enumerate(given_["steps"]):
        updates = {KEYS[key]: power for key, power in step["updates"]}
        rotation = (
            Rotation.first({KEYS[k]: p for k, p in given_["initial"]}) if rotation is None else rotation.after(updates)
        )
        rows = sorted([KEYS.index(each.public), each.power, each.priority] for each in rotation.standings)
        assert rows == step["rows"], f"step {number}"
        assert rotation.proposer == next(e.address for e in rotation.standings if e.public == KEYS[step["proposer"]])
    assert len(given_["steps"]) == 41


def test_a_rotation_reads_as_it_was_written() -> None:
    rotation = Rotation.first({KEYS[0]: 5, KEYS[1]: 7}).after({KEYS[2]: 3})
    assert any(each.priority < 0 for each in rotation.standings)
    assert Rotation.decode(rotation.encode()) == rotation


@pytest.mark.parametrize("updates", [{b"?" * 32: 0}, {KEYS[0]: 0, KEYS[1]: 0}, {KEYS[0]: -1}, {KEYS[0]: 1 << 60}])
def test_updates_on_which_cometbft_would_halt_halt_us_first(updates: dict[bytes, int]) -> None:
    with pytest.raises(Faulty):
        Rotation.first({KEYS[0]: 5, KEYS[1]: 7}).after(updates)


def beacon(height: int, salt: int = 0) -> bytes:
    return sha256(b"%d/%d" % (salt, height)).digest()


def key(number: int) -> bytes:
    return sha256(b"key %d" % number).digest()


class Led:
    """A chain of beacons alone: who proposes, and what the powers are."""

    def __init__(self, validators: int, salt: int = 0) -> None:
        self.salt = salt
        self.height = 0
        self.rotation = first_rotation({key(number): POWER for number in range(validators)})
        self.proposers: list[bytes] = []
        self.powers: list[dict[bytes, int]] = []
        self.update_counts: list[int] = []

    def blocks(self, count: int) -> Led:
        for _ in range(count):
            self.block()
        return self

    def block(self, changes: dict[bytes, int] | None = None) -> None:
        self.height += 1
        updates, self.rotation = lead(self.rotation, changes or {}, beacon(self.height, self.salt), self.height, POWER)
        self.proposers.append(self.rotation.proposer)
        self.powers.append(self.rotation.powers)
        self.update_counts.append(len(updates))


@pytest.mark.parametrize("validators", [1, 2, 3, 4, 7, 21, 100])
def test_every_cycle_is_an_order_of_all_validators_and_the_orders_differ(validators: int) -> None:
    # Heights 1 and 2 are CometBFT's own choice and the first two of the first cycle.
    led = Led(validators).blocks(max(0, validators - 2) + 6 * validators)
    after_first = led.proposers[max(0, validators - 2) :]
    if validators == 1:
        assert set(led.proposers) == {led.rotation.proposer}
        return
    cycles = [tuple(after_first[at : at + validators]) for at in range(0, 6 * validators, validators)]
    assert all(len(set(cycle)) == validators for cycle in cycles)
    assert len(set(cycles)) > 1
    # One key is led, and the one before it put back; nobody's power moves by more than a few units.
    assert max(led.update_counts) <= 2
    assert max(max(powers.values()) for powers in led.powers) <= POWER + 2 * validators


def test_who_begins_a_cycle_is_fair() -> None:
    firsts: Counter[bytes] = Counter()
    for salt in range(400):
        led = Led(4, salt).blocks(3)
        firsts[led.proposers[2]] += 1
    # 400 draws of 4: 100 each, three standard deviations are 26.
    assert sorted(firsts.values())[0] > 70 and len(firsts) == 4


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 12), st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), min_size=1, max_size=5))
def test_after_an_election_everybody_is_drawn_again(validators: int, elections: list[tuple[int, int]]) -> None:
    led = Led(validators)
    seated, fresh = list(range(validators)), validators
    for pause, retiring in elections:
        led.blocks(pause)
        leaving, seated = seated[:retiring], seated[retiring:]
        joining = range(fresh, fresh + max(retiring, 4 - len(seated)) + 1)
        fresh, seated = joining.stop, [*seated, *joining]
        led.block({**{key(number): 0 for number in leaving}, **{key(number): POWER for number in joining}})
        assert set(led.powers[-1].values()) == {1}
    begun = len(led.proposers)
    led.blocks(3 * len(seated))
    assert all(set(powers) == {key(number) for number in seated} for powers in led.powers[begun:])
    assert max(max(powers.values()) for powers in led.powers[begun:]) <= POWER + 4 * len(seated)
    # The height at which all powers were 1 cost its proposer next to nothing, so all take part in the new cycle.
    size = len(seated)
    cycles = led.proposers[begun:]
    assert [len(set(cycles[at : at + size])) for at in range(0, len(cycles), size)] == [size] * 3


def test_equal_shares_stay_equal_through_an_election() -> None:
    led = Led(4).blocks(9)
    led.block({key(0): 0, key(9): POWER})
    led.blocks(3)
    for powers in led.powers:
        assert max(powers.values()) * 1_000_000 <= min(powers.values()) * 1_000_001 or len(set(powers.values())) == 1


def test_the_draw_is_the_beacons_among_those_that_have_not_proposed() -> None:
    led = Led(5).blocks(3)  # heights 3, 4, 5 are led and end the first cycle, so height 6 is open to all
    ascending = sorted(each.address for each in led.rotation.standings)
    led.block()
    assert led.proposers[-1] == ascending[slsbft.proposer(beacon(4), 6, 0, 5)]
    left = [address for address in ascending if address != led.proposers[-1]]
    led.block()
    assert led.proposers[-1] == left[slsbft.proposer(beacon(5), 7, 0, 4)]


def test_a_chain_of_small_powers_is_not_led(chain) -> None:
    assert (is_led(1), is_led(MIN_POWER - 1), is_led(MIN_POWER)) == (False, False, True)
    assert all(chain.block([chain.payment()]).validator_updates == () for _ in range(6))
