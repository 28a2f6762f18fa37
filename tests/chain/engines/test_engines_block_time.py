"""Block time when clocks are wrong and some validators lie: between the honest ones' times, and always forward."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.address import validator_address
from chain.engines.ballot import MS_NS
from chain.engines.block_rules import median_time_ns
from chain.node.home import NETWORK_POWER
from chain.wire.cometbft import FLAG_COMMIT, BlockID, Commit, CommitSig, Validator, ValidatorSet

HOUR_NS = 3_600 * 10**9
START_NS = 1_700_000_000 * 10**9
BLOCK_NS = 10**9
ANY_TIME = st.integers(0, 2**62)


@dataclass(frozen=True)
class Seat:
    public: bytes
    power: int
    lies: bool
    offset_ns: int  # of an honest validator's clock


@st.composite
def seats(draw: st.DrawFn) -> list[Seat]:
    """Up to ten validators of about NETWORK_POWER each, whose liars hold less than a third."""
    powers = draw(st.lists(st.integers(NETWORK_POWER - 16, NETWORK_POWER + 16), min_size=4, max_size=10))
    liars = draw(st.integers(0, (len(powers) - 1) // 3))
    offsets = st.integers(-HOUR_NS, HOUR_NS)
    return [
        Seat(bytes([number]) * 32, power, number < liars and 3 * sum(powers[:liars]) < sum(powers), draw(offsets))
        for number, power in enumerate(powers)
    ]


def commit(times: dict[bytes, int]) -> Commit:
    signatures = tuple(CommitSig(FLAG_COMMIT, validator_address(public), time) for public, time in times.items())
    return Commit(1, 0, BlockID(), signatures)


@given(seats(), st.data())
def test_block_time_goes_forward_and_stays_between_honest_clocks(chosen: list[Seat], data: st.DataObject) -> None:
    validators = ValidatorSet(Validator(seat.public, seat.power) for seat in chosen)
    last_ns, now_ns = START_NS, START_NS
    for _ in range(5):
        now_ns += BLOCK_NS
        # Any votes of more than two thirds make a commit.
        voters = data.draw(st.permutations(chosen))
        while 3 * sum(seat.power for seat in voters[:-1]) > 2 * validators.total_power and data.draw(st.booleans()):
            voters = voters[:-1]
        honest = {s.public: max(now_ns + s.offset_ns, last_ns + MS_NS) for s in voters if not s.lies}
        lies = {s.public: data.draw(ANY_TIME) for s in voters if s.lies}
        time_ns = median_time_ns(commit({**honest, **lies}), validators)
        assert min(honest.values()) <= time_ns <= max(honest.values())
        assert time_ns > last_ns
        last_ns = time_ns


def test_seats_that_weigh_one_unit_would_let_one_of_three_votes_set_the_time() -> None:
    """CometBFT halves the power in integers: why a seat of a network weighs 10^9 and not 1."""
    for power, time_ns in ((1, 0), (NETWORK_POWER, START_NS)):
        validators = ValidatorSet(Validator(bytes([number]) * 32, power) for number in range(4))
        votes = {bytes([0]) * 32: 0, bytes([1]) * 32: START_NS, bytes([2]) * 32: START_NS + 1}
        assert median_time_ns(commit(votes), validators) == time_ns
