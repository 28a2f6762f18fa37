"""Laws of CometBFT's formats: what is written is read back, and no input crashes a reader."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Malformed
from chain.wire import protobuf, rpc_json
from chain.wire.cometbft import Block, BlockID, Commit, CommitSig, Header, PartSetHeader, Validator, ValidatorSet

int64 = st.integers(-(1 << 63), (1 << 63) - 1)
hashes = st.binary(min_size=32, max_size=32)
times = st.integers(-62135596800 * 10**9, 253402300799 * 10**9)
block_ids = st.builds(BlockID, hashes, st.builds(PartSetHeader, st.integers(0, 400), hashes))
signatures = st.builds(
    CommitSig, st.integers(1, 3), st.binary(min_size=20, max_size=20), times, st.binary(min_size=64, max_size=64)
)
commits = st.builds(
    Commit, st.integers(0, 1 << 60), st.integers(0, 99), block_ids, st.lists(signatures, max_size=4).map(tuple)
)
headers = st.builds(
    Header,
    version_app=st.integers(0, 9),
    chain_id=st.text(max_size=10),
    height=st.integers(1, 1 << 60),
    time_ns=times,
    last_block_id=block_ids,
    last_commit_hash=hashes,
    data_hash=hashes,
    validators_hash=hashes,
    next_validators_hash=hashes,
    consensus_hash=hashes,
    app_hash=st.binary(max_size=40),
    last_results_hash=hashes,
    evidence_hash=hashes,
    proposer_address=st.binary(min_size=20, max_size=20),
)
blocks = st.builds(Block, headers, st.lists(st.binary(max_size=40), max_size=4).map(tuple), st.none() | commits)


@given(int64)
def test_a_varint_of_any_int64_is_read_back(value: int) -> None:
    fields = protobuf.Fields(protobuf.integer_field(3, value) + protobuf.sfixed64_field(4, value))
    assert fields.integer(3) == fields.integer(4) == value


@given(blocks)
def test_a_block_survives_its_bytes(block: Block) -> None:
    assert Block.decode(block.encode()) == block


@given(blocks, st.data())
def test_a_damaged_block_is_refused_or_another_block(block: Block, data: st.DataObject) -> None:
    encoded = bytearray(block.encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = Block.decode(bytes(encoded))
    except Malformed:
        return
    assert decoded != block and decoded.encode() == bytes(encoded)


@given(st.binary(max_size=80))
def test_random_bytes_are_no_block_and_crash_nothing(data: bytes) -> None:
    with pytest.raises(Malformed):
        Block.decode(data)


@given(headers, commits)
def test_header_and_commit_survive_their_json(header: Header, commit: Commit) -> None:
    signed = rpc_json.SignedHeader(header, commit)
    assert rpc_json.signed_header_from_json(rpc_json.signed_header_to_json(signed)) == signed


@given(st.lists(st.builds(Validator, hashes, st.integers(1, 1 << 60)), max_size=5, unique_by=lambda v: v.public))
def test_a_validator_set_survives_its_json(validators: list[Validator]) -> None:
    original = ValidatorSet(validators)
    assert rpc_json.validator_set_from_json(rpc_json.validator_set_to_json(original)) == original


junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["header", "commit", "version", "height", "block_id", "parts", "signatures", "x"]), inner
        )
    ),
    max_leaves=10,
)


@given(junk)
def test_json_junk_is_malformed_and_crashes_nothing(document: Any) -> None:
    with pytest.raises(Malformed):
        rpc_json.signed_header_from_json(document)


@given(
    junk, st.sampled_from(["height", "time", "app_hash", "version", "last_block_id", "chain_id", "proposer_address"])
)
def test_junk_in_one_field_is_malformed_or_a_header(value: Any, name: str) -> None:
    document = rpc_json.header_to_json(
        Header(
            chain_id="c",
            height=1,
            time_ns=0,
            validators_hash=bytes(32),
            next_validators_hash=bytes(32),
            consensus_hash=bytes(32),
            app_hash=b"",
            proposer_address=bytes(20),
        )
    )
    document[name] = value
    try:
        header = rpc_json.header_from_json(document)
    except Malformed:
        return
    assert isinstance(header, Header)
