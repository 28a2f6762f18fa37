"""A record chain grows without holes, whatever the order of arrival, and never takes one number twice."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.hub.ingest.continuity import MAX_BEYOND, MAX_MISSING, NO_HASH, Chain, Link, append, place


def chain_of(length: int, salt: str = "") -> list[Link]:
    links, prev = [], NO_HASH
    for seq in range(length):
        link = Link(hashlib.sha256(f"{salt}{seq}".encode()).digest(), prev)
        links.append(link)
        prev = link.hash
    return links


def take(chain: Chain, seq: int, link: Link) -> str:
    where = place(chain, seq, link)
    if where in ("next", "beyond"):
        append(chain, seq, link)
    return where


@given(st.permutations(range(12)))
def test_any_order_of_arrival_ends_in_the_same_complete_chain(order: list[int]) -> None:
    links, chain = chain_of(12), Chain()
    for seq in order:
        assert take(chain, seq, links[seq]) in ("next", "beyond")
    assert (chain.upto_seq, chain.head_hash, chain.beyond, chain.missing()) == (11, links[11].hash, {}, [])


@given(st.lists(st.integers(0, 20), max_size=40))
def test_accepted_and_missing_together_are_exactly_the_numbers_up_to_the_highest(arrivals: list[int]) -> None:
    links, chain = chain_of(21), Chain()
    accepted = {seq for seq in arrivals if take(chain, seq, links[seq]) in ("next", "beyond")}
    assert accepted == set(arrivals)
    assert accepted | set(chain.missing()) == set(range(chain.highest_seq + 1))
    assert not accepted & set(chain.missing())


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=60))
def test_a_number_is_taken_once_and_every_other_payload_under_it_is_a_contradiction_or_breaks_the_chain(
    arrivals: list[tuple[int, bool]],
) -> None:
    honest, forked, chain = chain_of(9), chain_of(9, "fork"), Chain()
    stored: dict[int, bytes] = {}
    for seq, fork in arrivals:
        link = (forked if fork else honest)[seq]
        where = take(chain, seq, link)
        if seq in stored:
            assert where == ("record_replay" if stored[seq] == link.hash else "record_contradiction")
        elif where in ("next", "beyond"):
            stored[seq] = link.hash
        else:
            assert where == "record_broken_chain"


def test_a_gap_lists_the_lowest_missing_numbers_first() -> None:
    links, chain = chain_of(400), Chain()
    take(chain, 0, links[0])
    take(chain, 399, links[399])
    assert chain.missing() == list(range(1, 1 + MAX_MISSING))
    assert chain.upto_seq == 0


@pytest.mark.parametrize(("seq", "where"), [(MAX_BEYOND - 1, "beyond"), (MAX_BEYOND, "record_gap")])
def test_a_record_too_far_beyond_the_hole_is_refused(seq: int, where: str) -> None:
    assert place(Chain(), seq, Link(b"h" * 32, b"p" * 32)) == where


def test_the_first_record_must_have_no_predecessor() -> None:
    assert place(Chain(), 0, Link(b"h" * 32, b"p" * 32)) == "record_broken_chain"


def test_a_record_that_its_waiting_successor_does_not_name_breaks_the_chain() -> None:
    links, chain = chain_of(3), Chain()
    take(chain, 0, links[0])
    take(chain, 2, links[2])
    assert place(chain, 1, Link(b"x" * 32, links[0].hash)) == "record_broken_chain"


def test_a_snapshot_that_lacks_a_number_is_a_fault_and_not_an_acceptance() -> None:
    with pytest.raises(LookupError):
        place(Chain(upto_seq=5), 3, Link(b"h" * 32, b"p" * 32))
