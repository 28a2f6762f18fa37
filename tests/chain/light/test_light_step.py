"""One step of verification: every rule of the specification has a header that breaks just that rule."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chain.light.step import LightBlock, TrustedState, TrustOptions, verify, verify_own_commit
from chain.wire.cometbft import ABSENT, FLAG_ABSENT, FLAG_NIL, BlockID, CommitSig, SignedHeader, Validator, ValidatorSet

SECOND_NS = 10**9
OPTIONS = TrustOptions(trusting_period_ns=3_600 * SECOND_NS, clock_drift_ns=5 * SECOND_NS)


def now_of(chain: Any) -> int:
    return int(chain.header_at(chain.height).time_ns) + SECOND_NS


def changed_header(block: LightBlock, commit_by: Callable[..., Any], names: list[str], **changes: object) -> LightBlock:
    """The block with another header, signed again by everybody: a coalition lies, not the wire."""
    header = replace(block.header, **changes)
    return replace(block, signed_header=SignedHeader(header, commit_by(header, names, names)))


def changed_commit(block: LightBlock, **changes: object) -> LightBlock:
    commit = replace(block.signed_header.commit, **changes)
    return replace(block, signed_header=replace(block.signed_header, commit=commit))


def changed_signature(block: LightBlock, index: int, signature: CommitSig) -> LightBlock:
    signatures = list(block.signed_header.commit.signatures)
    signatures[index] = signature
    return changed_commit(block, signatures=tuple(signatures))


@pytest.mark.parametrize("height", [2, 3, 40])
def test_a_signed_header_of_known_validators_is_trusted_at_any_distance(steady: Any, height: int) -> None:
    assert verify(steady.trusted(1), steady.light_block(height), now_of(steady), OPTIONS).outcome == "SUCCESS"


def test_the_trusting_period_ends_exactly(steady: Any) -> None:
    trusted, block = steady.trusted(1), steady.light_block(2)
    end_ns = trusted.header.time_ns + OPTIONS.trusting_period_ns
    assert verify(trusted, block, end_ns - 1, OPTIONS).ok
    assert verify(trusted, block, end_ns, OPTIONS).outcome == "INVALID"


def test_a_header_from_beyond_the_clock_drift_is_invalid(steady: Any) -> None:
    trusted, block = steady.trusted(1), steady.light_block(2)
    assert verify(trusted, block, block.header.time_ns - OPTIONS.clock_drift_ns + 1, OPTIONS).ok
    assert verify(trusted, block, block.header.time_ns - OPTIONS.clock_drift_ns, OPTIONS).outcome == "INVALID"


def test_height_and_time_must_grow_and_the_chain_be_the_same(
    steady: Any, commit_by: Callable[..., Any], four: list[str]
) -> None:
    trusted, block, now_ns = steady.trusted(10), steady.light_block(11), now_of(steady)
    same_time = changed_header(block, commit_by, four, time_ns=trusted.header.time_ns)
    other_chain = changed_header(block, commit_by, four, chain_id="another")
    same_height = changed_header(steady.light_block(10), commit_by, four, time_ns=trusted.header.time_ns + 1)
    for wrong in (steady.light_block(10), steady.light_block(9), same_height, same_time, other_chain):
        assert verify(trusted, wrong, now_ns, OPTIONS).outcome == "INVALID"


def test_validator_sets_must_be_those_that_the_header_names(steady: Any, set_of: Callable[..., Any]) -> None:
    block, other = steady.light_block(5), set_of(["a", "b", "c", "mallory"])
    for wrong in (replace(block, validators=other), replace(block, next_validators=other)):
        assert verify(steady.trusted(1), wrong, now_of(steady), OPTIONS).outcome == "INVALID"
    untold = TrustedState(steady.signed[1], other)
    assert verify(untold, block, now_of(steady), OPTIONS).outcome == "INVALID"
    whale = ValidatorSet(
        Validator(each.public, each.power + 90 * (place == 0)) for place, each in enumerate(block.validators)
    )
    assert verify(steady.trusted(1), replace(block, validators=whale), now_of(steady), OPTIONS).outcome == "INVALID"
    without_next = replace(block, next_validators=None)
    assert verify(steady.trusted(1), without_next, now_of(steady), OPTIONS).ok


def test_the_commit_must_be_of_this_header(steady: Any, commit_by: Callable[..., Any], four: list[str]) -> None:
    block, now_ns = steady.light_block(5), now_of(steady)
    foreign = replace(block, signed_header=replace(block.signed_header, commit=steady.signed[6].commit))
    relabelled = changed_commit(block, height=6)
    nil = changed_commit(block, block_id=BlockID())
    other_height = commit_by(steady.header_at(5), four, four, height=6)
    mislabelled = replace(block, signed_header=replace(block.signed_header, commit=other_height))
    edited = replace(
        block, signed_header=replace(block.signed_header, header=replace(block.header, app_hash=b"\x66" * 32))
    )
    for wrong in (foreign, relabelled, mislabelled, nil, edited):
        assert verify(steady.trusted(1), wrong, now_ns, OPTIONS).outcome == "INVALID"


def test_a_commit_of_another_size_or_order_or_with_a_stranger_is_invalid(
    steady: Any, commit_by: Callable[..., Any], four: list[str]
) -> None:
    block, now_ns = steady.light_block(5), now_of(steady)
    signatures = block.signed_header.commit.signatures
    stranger = commit_by(block.header, ["mallory", "e", "f", "g"], ["mallory"]).signatures
    signed = next(slot for slot in stranger if slot.signature)
    for wrong in (
        changed_commit(block, signatures=signatures[:-1]),
        changed_commit(block, signatures=(*signatures, ABSENT)),
        changed_commit(block, signatures=()),
        changed_commit(block, signatures=signatures[::-1]),
        changed_commit(block, signatures=(signatures[0],) * 4),
        changed_signature(block, 3, signed),
        changed_signature(block, 3, replace(signatures[3], flag=4)),
        changed_signature(block, 3, replace(signatures[3], signature=b"short")),
        changed_signature(block, 3, replace(signatures[3], flag=FLAG_ABSENT)),
    ):
        assert verify(steady.trusted(1), wrong, now_ns, OPTIONS).outcome == "INVALID"


def test_more_than_two_thirds_must_sign(made_chain: Callable[..., Any], four: list[str]) -> None:
    chain = made_chain([four] * 5, signers={2: four[:3], 3: four[:2], 4: []})
    now_ns = now_of(chain)
    assert verify(chain.trusted(1), chain.light_block(2), now_ns, OPTIONS).ok
    halved = verify(chain.trusted(1), chain.light_block(3), now_ns, OPTIONS)
    assert (halved.outcome, halved.reason) == ("INVALID", "only power 20 of 40 signed header 3")
    assert verify(chain.trusted(3), chain.light_block(4), now_ns, OPTIONS).outcome == "INVALID"


def test_exactly_two_thirds_are_not_more_than_two_thirds(made_chain: Callable[..., Any]) -> None:
    three = ["a", "b", "c"]
    chain = made_chain([three] * 3, signers={2: three[:2]})
    assert verify(chain.trusted(1), chain.light_block(2), now_of(chain), OPTIONS).outcome == "INVALID"


def test_a_nil_or_absent_vote_counts_for_nothing(steady: Any) -> None:
    block = steady.light_block(5)
    signatures = block.signed_header.commit.signatures
    one_nil = changed_signature(block, 0, replace(signatures[0], flag=FLAG_NIL))
    two_nil = changed_signature(one_nil, 1, replace(signatures[1], flag=FLAG_NIL))
    assert verify(steady.trusted(4), one_nil, now_of(steady), OPTIONS).ok
    assert verify(steady.trusted(4), two_nil, now_of(steady), OPTIONS).outcome == "INVALID"


def test_a_wrong_signature_that_is_met_is_invalid_and_one_behind_the_majority_is_not_looked_at(steady: Any) -> None:
    block = steady.light_block(5)
    signatures = block.signed_header.commit.signatures
    first = changed_signature(block, 0, replace(signatures[0], signature=signatures[1].signature))
    last = changed_signature(block, 3, replace(signatures[3], signature=bytes(64)))
    for trusted in (steady.trusted(1), steady.trusted(4)):
        assert verify(trusted, first, now_of(steady), OPTIONS).outcome == "INVALID"
        assert verify(trusted, last, now_of(steady), OPTIONS).ok


def test_an_adjacent_header_must_have_the_announced_validators(
    made_chain: Callable[..., Any], four: list[str], commit_by: Callable[..., Any], set_of: Callable[..., Any]
) -> None:
    chain, usurpers = made_chain([four] * 4), ["m1", "m2", "m3", "m4"]
    mine = set_of(usurpers)
    header = replace(chain.header_at(2), validators_hash=mine.hash(), next_validators_hash=mine.hash())
    forged = LightBlock(SignedHeader(header, commit_by(header, usurpers, usurpers)), mine, mine)
    verdict = verify(chain.trusted(1), forged, now_of(chain), OPTIONS)
    assert (verdict.outcome, "announced" in verdict.reason) == ("INVALID", True)


def test_too_little_overlap_is_not_enough_trust_and_a_third_is_too_little(rotating: Any) -> None:
    trusted, now_ns = rotating.trusted(1), now_of(rotating)
    outcomes = {
        height: verify(trusted, rotating.light_block(height), now_ns, OPTIONS).outcome for height in range(2, 8)
    }
    assert outcomes == {
        2: "SUCCESS",  # adjacent
        3: "SUCCESS",  # three of the four trusted next validators
        4: "SUCCESS",  # two
        5: "NOT_ENOUGH_TRUST",  # one of four is less than a third
        6: "NOT_ENOUGH_TRUST",
        7: "NOT_ENOUGH_TRUST",
    }
    half = replace(OPTIONS, trust_level=(1, 2))
    assert verify(trusted, rotating.light_block(4), now_ns, half).outcome == "NOT_ENOUGH_TRUST", "half is not more"


def test_exactly_a_third_is_not_more_than_a_third(made_chain: Callable[..., Any]) -> None:
    chain = made_chain([["a", "b", "c"], ["a", "b", "c"], ["a", "x", "y"], ["a", "x", "y"]])
    assert verify(chain.trusted(1), chain.light_block(3), now_of(chain), OPTIONS).outcome == "NOT_ENOUGH_TRUST"


def test_counting_goes_on_after_exactly_a_third(made_chain: Callable[..., Any]) -> None:
    chain = made_chain([["a", "b", "c"]] * 5)
    assert verify(chain.trusted(1), chain.light_block(4), now_of(chain), OPTIONS).ok


def test_a_forged_commit_by_a_third_of_the_trusted_power_never_succeeds(
    steady: Any, commit_by: Callable[..., Any], set_of: Callable[..., Any]
) -> None:
    """One of four old validators with three friends: the friends' two thirds are worth nothing."""
    gang = ["a", "m1", "m2", "m3"]
    mine = set_of(gang)
    header = replace(
        steady.header_at(20), validators_hash=mine.hash(), next_validators_hash=mine.hash(), app_hash=b"\x66" * 32
    )
    forged = LightBlock(SignedHeader(header, commit_by(header, gang, gang)), mine, mine)
    assert verify(steady.trusted(1), forged, now_of(steady), OPTIONS).outcome == "NOT_ENOUGH_TRUST"


def test_negative_power_is_invalid(steady: Any) -> None:
    validators = list(steady.light_block(5).validators)
    negative = ValidatorSet([*validators[:-1], Validator(validators[-1].public, -10)])
    block = steady.light_block(5)
    wrong = replace(block, validators=negative)
    assert verify(steady.trusted(1), wrong, now_of(steady), OPTIONS).outcome == "INVALID"


def test_a_block_known_by_its_hash_needs_its_own_majority(made_chain: Callable[..., Any], four: list[str]) -> None:
    chain = made_chain([four] * 3, signers={2: four[:2]})
    assert verify_own_commit(chain.light_block(1)).ok
    assert verify_own_commit(chain.light_block(2)).outcome == "INVALID"
