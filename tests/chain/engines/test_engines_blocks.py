"""Headers, commits and validator sets follow CometBFT's rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.application.abci import ValidatorUpdate
from chain.engines.block_rules import check_block, commit_info, make_block, make_commit, median_time_ns, updated
from chain.engines.ports import ChainState
from chain.errors import Faulty, Refused
from chain.wire.cometbft import (
    ABSENT,
    NIL_BLOCK_ID,
    PRECOMMIT,
    Block,
    BlockID,
    Commit,
    CommitSig,
    ConsensusParams,
    PartSetHeader,
    Validator,
    ValidatorSet,
    Vote,
    last_results_hash,
)
from tests.chain.engines.small_chain import KEYS

VALIDATORS = ValidatorSet(Validator(key.public.x, 1) for key in KEYS[:4])
BLOCK_ID = BlockID(b"b" * 32, PartSetHeader(1, b"p" * 32))
PARAMS = ConsensusParams()
STATE = ChainState(5, BLOCK_ID, 1_000, VALIDATORS, VALIDATORS, b"a" * 32, last_results_hash(()), 1)


def commit(times: list[int | None], validators: ValidatorSet = VALIDATORS) -> Commit:
    signatures = (
        ABSENT if time is None else CommitSig(2, validator.address, time, b"s" * 64)
        for validator, time in zip(validators, times, strict=True)
    )
    return Commit(5, 0, BLOCK_ID, tuple(signatures))


LAST = (commit([2_000, 3_000, 4_000, 5_000]), VALIDATORS)


def block() -> Block:
    return make_block("small", STATE, LAST, [b"tx"], VALIDATORS[0].address, PARAMS)


def test_the_median_of_three_equal_votes_is_the_middle_one() -> None:
    strong = ValidatorSet(Validator(key.public.x, 10) for key in KEYS[:4])
    assert median_time_ns(commit([30, None, 10, 20], strong), strong) == 20


def test_with_power_1_half_of_three_is_1_and_the_first_vote_wins_as_in_cometbft() -> None:
    assert median_time_ns(commit([30, None, 10, 20]), VALIDATORS) == 10


def test_the_median_of_four_equal_votes_is_the_second_as_in_cometbft() -> None:
    assert median_time_ns(commit([40, 30, 10, 20]), VALIDATORS) == 20


def test_the_median_goes_by_power() -> None:
    heavy = ValidatorSet([Validator(KEYS[0].public.x, 10), *(Validator(key.public.x, 1) for key in KEYS[1:4])])
    assert median_time_ns(commit([99, 1, 2, 3], heavy), heavy) == 99


@given(st.lists(st.integers(100, 200), min_size=3, max_size=3), st.integers(0, 10**12))
def test_one_liar_of_four_cannot_move_the_median_out_of_the_honest_times(honest: list[int], lie: int) -> None:
    assert min(honest) <= median_time_ns(commit([*honest, lie]), VALIDATORS) <= max(honest)


def test_a_commit_without_times_is_a_fault() -> None:
    with pytest.raises(Faulty):
        median_time_ns(commit([None] * 4), VALIDATORS)


def test_a_commit_has_every_validators_place() -> None:
    votes = {
        VALIDATORS[1].address: Vote(PRECOMMIT, 5, 2, BLOCK_ID, 7, VALIDATORS[1].address, 1, b"s" * 64),
        VALIDATORS[3].address: Vote(PRECOMMIT, 5, 2, None, 8, VALIDATORS[3].address, 3, b"t" * 64),
    }
    made = make_commit(5, 2, BLOCK_ID, VALIDATORS, votes)
    assert [s.flag for s in made.signatures] == [1, 2, 1, 3]
    info = commit_info((made, VALIDATORS))
    assert (info.round, [int(v.block_id_flag) for v in info.votes]) == (2, [1, 2, 1, 3])
    assert [v.validator_address for v in info.votes] == [v.address for v in VALIDATORS]


def test_a_block_made_by_the_rules_is_accepted() -> None:
    made = block()
    check_block(made, "small", STATE, LAST, PARAMS)
    assert (made.header.height, made.header.time_ns, made.header.last_block_id) == (6, 3_000, BLOCK_ID)
    assert Block.decode(made.encode()) == made


def test_the_first_block_has_the_genesis_time_and_an_empty_commit() -> None:
    genesis = replace(STATE, height=0, block_id=NIL_BLOCK_ID)
    first = make_block("small", genesis, None, [b"tx"], VALIDATORS[0].address, PARAMS)
    check_block(first, "small", genesis, None, PARAMS)
    assert (first.header.height, first.header.time_ns) == (1, 1_000)
    assert Block.decode(first.encode()) == first


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version_block", 10),
        ("version_app", 2),
        ("chain_id", "other"),
        ("height", 7),
        ("time_ns", 3_001),
        ("last_block_id", NIL_BLOCK_ID),
        ("last_commit_hash", b"x" * 32),
        ("data_hash", b"x" * 32),
        ("validators_hash", b"x" * 32),
        ("next_validators_hash", b"x" * 32),
        ("consensus_hash", b"x" * 32),
        ("app_hash", b"x" * 32),
        ("last_results_hash", b"x" * 32),
        ("evidence_hash", b"x" * 32),
        ("proposer_address", b"x" * 20),
    ],
)
def test_a_header_that_says_anything_else_is_refused(field: str, value: object) -> None:
    made = block()
    wrong = replace(made, header=replace(made.header, **{field: value}))  # type: ignore[arg-type]
    with pytest.raises(Refused):
        check_block(wrong, "small", STATE, LAST, PARAMS)


def test_another_commit_for_the_last_block_is_refused() -> None:
    with pytest.raises(Refused):
        check_block(replace(block(), last_commit=commit([2_000, 3_000, 4_000, None])), "small", STATE, LAST, PARAMS)


def test_time_that_stands_still_is_refused() -> None:
    late = replace(STATE, block_time_ns=3_000)
    made = make_block("small", late, LAST, [b"tx"], VALIDATORS[0].address, PARAMS)
    with pytest.raises(Refused):
        check_block(made, "small", late, LAST, PARAMS)


def test_validator_updates_add_change_and_remove() -> None:
    after = updated(VALIDATORS, [ValidatorUpdate(KEYS[4].public.x, 7), ValidatorUpdate(KEYS[0].public.x, 0)])
    assert {v.public: v.power for v in after} == {KEYS[4].public.x: 7, **{key.public.x: 1 for key in KEYS[1:4]}}
    with pytest.raises(Faulty):
        updated(VALIDATORS, [ValidatorUpdate(key.public.x, 0) for key in KEYS[:4]])
