"""The election and the proposer against the golden numbers of the economics, and their laws."""

from collections import Counter
from fractions import Fraction
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from chain import slsbft
from chain.slsbft import Operator, elect, proposer, weight
from chain.wire import cbor

WHALE = Operator(b"whale", 200, 5_000_000, 3)
WORKER = Operator(b"worker", 40_000, 50_000, 3)
SMALL = Operator(b"small", 9_000, 10_000, 2)
IDLE = Operator(b"idle", 0, 50_000, 1)
FIELD = [WHALE, WORKER, SMALL, IDLE]


def test_weights_and_shares_of_the_golden_field() -> None:
    weights = [weight(operator.service_level, operator.bond) for operator in FIELD]
    assert weights == [31622, 44721, 9486, 0]
    assert [round(1000 * w / sum(weights)) for w in weights] == [368, 521, 111, 0]


def test_four_seats_from_the_zero_seed() -> None:
    assert elect(bytes(32), FIELD, 4, []) == [(b"whale", 0), (b"worker", 0), (b"small", 0)]


def test_thirty_seats_from_the_seed_of_elevens() -> None:
    names = ["worker 0", "whale 0", "whale 1", "worker 1", "whale 2", "worker 2", "small 0", "small 1"]
    drawn = elect(b"\x11" * 32, FIELD, 30, [])
    assert [f"{operator.decode()} {key}" for operator, key in drawn] == names


def test_the_golden_proposers() -> None:
    assert [proposer(bytes(32), height, 0, 4) for height in range(1, 11)] == [3, 3, 0, 2, 3, 2, 1, 1, 3, 1]
    assert [proposer(bytes(32), 1, round_, 4) for round_ in range(6)] == [3, 1, 3, 1, 1, 3]


def test_who_is_seated_keeps_the_seat_and_counts_against_the_operators_limit() -> None:
    drawn = elect(b"\x11" * 32, FIELD, 30, [(b"whale", 1), (b"worker", 0), (b"worker", 1), (b"worker", 2)])
    assert sorted(drawn) == [(b"small", 0), (b"small", 1), (b"whale", 0), (b"whale", 2)]
    assert elect(bytes(32), FIELD, 4, [(b"a", 0), (b"b", 0), (b"c", 0), (b"d", 0)]) == []
    assert len(elect(bytes(32), FIELD, 4, [(b"a", 0), (b"b", 0), (b"c", 0)])) == 1


def test_a_third_of_the_keys_retires_the_longest_seated_first() -> None:
    seats = [(b"x", key) for key in range(7)]
    assert slsbft.stay_seated(seats) == seats[2:]
    assert slsbft.stay_seated(seats[:2]) == seats[:2]


def test_beacons_are_domain_separated_hashes() -> None:
    assert slsbft.next_beacon(b"b" * 64) == sha256(b"slsbft/beacon" + b"b" * 64).digest()
    assert slsbft.genesis_beacon(b"g" * 32) == sha256(b"slsbft/genesis" + b"g" * 32).digest()
    alpha = slsbft.vrf_alpha("dccn-demo", 7, b"p" * 32)
    assert cbor.decode(alpha) == ["slsbft/vrf", "dccn-demo", 7, b"p" * 32]


operators = st.builds(
    Operator,
    id=st.binary(min_size=1, max_size=3),
    service_level=st.integers(0, 10**9),
    bond=st.integers(0, 10**27),
    keys=st.integers(0, 5),
)
fields = st.lists(operators, max_size=8, unique_by=lambda operator: operator.id)


@given(st.binary(min_size=32, max_size=32), fields, st.integers(0, 60))
def test_an_election_seats_each_key_once_within_every_limit(seed: bytes, field: list[Operator], seats: int) -> None:
    drawn = elect(seed, field, seats, [])
    by_id = {operator.id: operator for operator in field}
    assert len(set(drawn)) == len(drawn) <= seats
    for operator, count in Counter(holder for holder, _ in drawn).items():
        assert count <= min(max(1, seats // 10), by_id[operator].keys)
        assert sorted(key for holder, key in drawn if holder == operator) == list(range(count))
        assert weight(by_id[operator].service_level, by_id[operator].bond) > 0
    assert drawn == elect(seed, list(reversed(field)), seats, [])


@given(st.binary(min_size=32, max_size=32), fields, st.integers(0, 60), st.data())
def test_the_draw_is_the_walk_over_prefix_sums_that_the_formula_says(
    seed: bytes, field: list[Operator], seats: int, data: st.DataObject
) -> None:
    keys = [(operator.id, key) for operator in field for key in range(operator.keys)]
    seated = data.draw(st.lists(st.sampled_from(keys), unique=True, max_size=10)) if keys else []
    assert elect(seed, field, seats, seated) == by_the_book(seed, field, seats, seated)


def by_the_book(
    seed: bytes, field: list[Operator], seats: int, seated: list[tuple[bytes, int]]
) -> list[tuple[bytes, int]]:
    """docs/economics.md word by word, without regard to what it costs."""
    taken, drawn, counter = set(seated), [], 0

    def room(operator: Operator) -> int:
        own = sum(holder == operator.id for holder, _ in taken)
        free = sum((operator.id, key) not in taken for key in range(operator.keys))
        return min(max(1, seats // 10) - own, free)

    def below(limit: int) -> int:
        nonlocal counter
        while True:
            number = int.from_bytes(sha256(b"slsbft/elect" + seed + counter.to_bytes(8, "big")).digest(), "big")
            counter += 1
            if number < (1 << 256) - (1 << 256) % limit:
                return number % limit

    while len(seated) + len(drawn) < seats:
        pool = [o for o in sorted(field, key=lambda o: o.id) if weight(o.service_level, o.bond) and room(o) > 0]
        if not pool:
            break
        point = below(sum(weight(o.service_level, o.bond) for o in pool))
        for operator in pool:
            if point < weight(operator.service_level, operator.bond):
                break
            point -= weight(operator.service_level, operator.bond)
        seat = (operator.id, next(key for key in range(operator.keys) if (operator.id, key) not in taken))
        taken.add(seat)
        drawn.append(seat)
    return drawn


@given(st.integers(0, 10**12), st.integers(0, 10**27), st.integers(2, 1000))
def test_splitting_an_identity_never_gains_weight(service_level: int, bond: int, parts: int) -> None:
    split = parts * weight(service_level // parts, bond // parts)
    assert split <= weight(service_level, bond)


def test_the_proposer_is_uniform_over_heights() -> None:
    counts = Counter(proposer(bytes(32), height, 0, 7) for height in range(1, 7001))
    expected = Fraction(7000, 7)
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 22  # chi-square, 6 degrees, 0.1 %
