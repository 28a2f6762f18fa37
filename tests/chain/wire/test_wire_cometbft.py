"""CometBFT v0.38's bytes: vectors of its own tests, and blocks that a real CometBFT node made.

The blocks are those of tendermint-rs `rpc/tests/kvstore_fixtures/v0_38/incoming` (chain "dockerchain").
"""

import base64
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest

from chain.crypto import ed25519, merkle
from chain.errors import Malformed
from chain.wire import rpc_json
from chain.wire.cometbft import (
    ABSENT,
    EMPTY_COMMIT,
    GO_ZERO_TIME_NS,
    PRECOMMIT,
    PREVOTE,
    Block,
    BlockID,
    Commit,
    CommitSig,
    ConsensusParams,
    Header,
    PartSetHeader,
    Proposal,
    Validator,
    ValidatorSet,
    Vote,
    data_hash,
    data_proof,
    format_time,
    last_results_hash,
    parse_time,
    part_set_header,
    verify_data_proof,
)


def digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


EMPTY = sha256(b"").digest()
VALIDATOR = Validator(base64.b64decode("bNNlGls5R25wC3Sd8720F/3+7IZBhXcD22MNFtPk/v0="), 10)
HEADER_1 = Header(
    version_app=1,
    chain_id="dockerchain",
    height=1,
    time_ns=parse_time("2023-05-17T14:12:48.347696215Z"),
    validators_hash=ValidatorSet([VALIDATOR]).hash(),
    next_validators_hash=ValidatorSet([VALIDATOR]).hash(),
    consensus_hash=ConsensusParams().hash(),
    app_hash=bytes(8),
    proposer_address=VALIDATOR.address,
)
BLOCK_ID_9 = BlockID(
    bytes.fromhex("678A83FB0422D053A3792154703122861DD68ABB8247A4FF2945DF832DB18FC8"),
    PartSetHeader(1, bytes.fromhex("29FE32F6B57D8439C9E9F6240B436DD560646FDA8C8C105E2C261B6F4746E89C")),
)
COMMIT_9 = Commit(
    9,
    0,
    BLOCK_ID_9,
    (
        CommitSig(
            2,
            VALIDATOR.address,
            parse_time("2023-05-17T14:12:53.088875124Z"),
            base64.b64decode(
                "BMy5pB3a9xeEnuBkja/a6GUvP1guZ2lMQtZYvdrl8s0ri1/LaF0JuI9rOsy1biVTv+TDKzlBXTZ5gdgiq0uCAg=="
            ),
        ),
    ),
)
HEADER_10 = replace(
    HEADER_1,
    height=10,
    time_ns=parse_time("2023-05-17T14:12:53.088875124Z"),
    last_block_id=BLOCK_ID_9,
    last_commit_hash=COMMIT_9.hash(),
)


def test_a_real_nodes_validator_set_and_parameters_hash_as_it_says() -> None:
    assert VALIDATOR.address.hex().upper() == "2DD9F44FD9067555C322243C3C913BA7B51D2BE0"
    expected = "33415EFFCEDA5BD0A3A443A727457D9F7B9E38389BF27A936FEDF749A7B7566E"
    assert ValidatorSet([VALIDATOR]).hash().hex().upper() == expected
    expected = "048091BC7DDC283F77BFBF91D73C44DA58C3DF8A9CBC867405D8B7F3DAADA22F"
    assert ConsensusParams(max_bytes=22_020_096, max_gas=-1).hash().hex().upper() == expected


@pytest.mark.parametrize(
    ("block", "block_hash", "parts_hash"),
    [
        (
            Block(HEADER_1, (), EMPTY_COMMIT),
            "6CD5CF4E23A49D9BC073D6F305D29D1B8B5193B534C237696D42FEA5AFBCD520",
            "F021777213F7EF77494C9B5C11D246A6F532DA146D205422D1FB85600F6B479C",
        ),
        (
            Block(HEADER_10, (), COMMIT_9),
            "00ECDAC463C201ECD4BDBBAAE4A53A4C80291D4051FD69ED97F6420CE1388BFE",
            "FF0A320E696FD233DD4D3CC7CD82FF90F54B8FDBC9C700D9375C95A02782B062",
        ),
    ],
)
def test_a_real_nodes_blocks_have_the_ids_it_gave_them(block: Block, block_hash: str, parts_hash: str) -> None:
    block_id = block.block_id()
    assert block_id.hash.hex().upper() == block_hash
    assert (block_id.parts.total, block_id.parts.hash.hex().upper()) == (1, parts_hash)
    assert Block.decode(block.encode()) == block


def test_a_real_validators_precommit_verifies_over_our_sign_bytes() -> None:
    expected = "A3AD467820428D99FD53BFCF38CDC1EB141DD27E3B5F0F3931BBE91FBA8B097D"
    assert COMMIT_9.hash().hex().upper() == expected
    signature = COMMIT_9.signatures[0].signature
    assert ed25519.verify(VALIDATOR.public, COMMIT_9.vote_sign_bytes("dockerchain", 0), signature)
    assert not ed25519.verify(VALIDATOR.public, COMMIT_9.vote_sign_bytes("otherchain", 0), signature)


def test_a_real_nodes_transaction_lies_under_its_data_hash() -> None:
    root = bytes.fromhex("3081F9915040D138B3AD7F895732D2767C29E85BA5D84388D04E17A5D8262B7A")
    assert data_hash([b"async-key=value"]) == root
    assert merkle.leaf_hash(sha256(b"async-key=value").digest()) == root


def test_the_header_hash_of_cometbfts_own_test() -> None:
    header = Header(
        version_block=1,
        version_app=2,
        chain_id="chainId",
        height=3,
        time_ns=parse_time("2019-10-13T16:14:44Z"),
        last_block_id=BlockID(bytes(32), PartSetHeader(6, bytes(32))),
        last_commit_hash=digest("last_commit_hash"),
        data_hash=digest("data_hash"),
        validators_hash=digest("validators_hash"),
        next_validators_hash=digest("next_validators_hash"),
        consensus_hash=digest("consensus_hash"),
        app_hash=digest("app_hash"),
        last_results_hash=digest("last_results_hash"),
        evidence_hash=digest("evidence_hash"),
        proposer_address=digest("proposer_address")[:20],
    )
    assert header.hash().hex().upper() == "F740121F553B5418C3EFBD343C2DBFE9E007BB67B0D020A0741374BAB65242A4"
    assert replace(header, validators_hash=b"").hash() == b""


ZERO_TIME = "2a0b088092b8c398feffffff01"


# types/vote_test.go, TestVoteSignBytesTestVectors of v0.38 (without vote extensions).
@pytest.mark.parametrize(
    ("chain_id", "kind", "height", "expected"),
    [
        ("", 0, 0, "0d" + ZERO_TIME),
        ("", PRECOMMIT, 1, "21080211010000000000000019" + "0100000000000000" + ZERO_TIME),
        ("", PREVOTE, 1, "21080111010000000000000019" + "0100000000000000" + ZERO_TIME),
        ("", 0, 1, "1f11010000000000000019" + "0100000000000000" + ZERO_TIME),
        (
            "test_chain_id",
            0,
            1,
            "2e11010000000000000019" + "0100000000000000" + ZERO_TIME + "320d" + b"test_chain_id".hex(),
        ),
    ],
)
def test_the_vote_sign_bytes_of_cometbfts_own_test(chain_id: str, kind: int, height: int, expected: str) -> None:
    vote = Vote(kind, height, height, None, GO_ZERO_TIME_NS, b"", 0)
    assert vote.sign_bytes(chain_id).hex() == expected


def test_a_vote_for_nil_leaves_the_block_id_out_and_one_for_a_block_does_not() -> None:
    vote = Vote(PRECOMMIT, 5, 0, None, 0, VALIDATOR.address, 0)
    assert vote.sign_bytes("c") == replace(vote, block_id=BlockID()).sign_bytes("c")
    assert vote.sign_bytes("c") != replace(vote, block_id=BLOCK_ID_9).sign_bytes("c")
    assert vote.commit_sig().flag == 3 and replace(vote, block_id=BLOCK_ID_9).commit_sig().flag == 2


def test_proposal_sign_bytes_write_the_pol_round_as_a_varint() -> None:
    proposal = Proposal(1, 1, -1, BlockID(), GO_ZERO_TIME_NS)
    fields = (
        "0820" + "110100000000000000" + "190100000000000000" + "20" + "ff" * 9 + "01" + "320b088092b8c398feffffff01"
    )
    assert proposal.sign_bytes("").hex() == f"{len(bytes.fromhex(fields)):02x}" + fields


def test_sets_are_ordered_by_power_then_address_and_refuse_a_key_twice() -> None:
    validators = [Validator(bytes([n]) * 32, power) for n, power in ((1, 5), (2, 9), (3, 5), (4, 5))]
    ordered = ValidatorSet(validators)
    assert [v.power for v in ordered] == [9, 5, 5, 5]
    assert [v.address for v in ordered][1:] == sorted(v.address for v in ordered if v.power == 5)
    assert ordered == ValidatorSet(reversed(validators)) and ordered.total_power == 24
    assert all(ordered[ordered.index_of(v.address) or 0] == v == ordered.by_address(v.address) for v in validators)
    assert ordered.by_address(bytes(20)) is None
    with pytest.raises(Malformed):
        ValidatorSet([VALIDATOR, replace(VALIDATOR, power=1)])


@dataclass
class Result:
    code: int = 0
    data: bytes = b""
    gas_wanted: int = 0
    gas_used: int = 0


def test_results_hash_over_code_data_and_gas_alone() -> None:
    assert last_results_hash([]) == EMPTY
    assert last_results_hash([Result()]) == merkle.leaf_hash(b"")
    assert last_results_hash([Result(7, b"ab", 3, 300)]) == merkle.leaf_hash(bytes.fromhex("080712026162280330ac02"))


def test_a_large_block_is_cut_into_parts_of_64_kib() -> None:
    encoded = bytes(range(256)) * 600
    header = part_set_header(encoded)
    assert header.total == 3
    assert header.hash == merkle.root([encoded[:65536], encoded[65536:131072], encoded[131072:]])


def test_every_transaction_of_a_block_can_be_proven() -> None:
    txs = [bytes([n]) * (n + 1) for n in range(11)]
    root = data_hash(txs)
    for index, tx in enumerate(txs):
        path = data_proof(txs, index)
        assert verify_data_proof(root, tx, index, len(txs), path)
        assert not verify_data_proof(root, tx, index ^ 1, len(txs), path)
        assert not verify_data_proof(root, tx + b"!", index, len(txs), path)


def test_a_block_with_other_bytes_is_refused() -> None:
    block = Block(HEADER_10, (b"one", b"two"), COMMIT_9)
    encoded = block.encode()
    assert Block.decode(encoded) == block
    assert Block.decode(Block(HEADER_1, (b"x",), None).encode()).last_commit is None
    for wrong in (encoded[:-1], encoded + b"\x08\x00", b"\xff" * 40, encoded + encoded):
        with pytest.raises(Malformed):
            Block.decode(wrong)


def test_rpc_json_reads_and_writes_what_a_real_node_sends() -> None:
    signed = rpc_json.SignedHeader(HEADER_10, COMMIT_9)
    document = rpc_json.signed_header_to_json(signed)
    assert document["header"]["app_hash"] == "0000000000000000"
    assert document["header"]["version"] == {"block": "11", "app": "1"}
    assert document["header"]["time"] == "2023-05-17T14:12:53.088875124Z"
    assert document["commit"]["height"] == "9" and document["commit"]["round"] == 0
    assert document["commit"]["signatures"][0]["validator_address"] == "2DD9F44FD9067555C322243C3C913BA7B51D2BE0"
    assert rpc_json.signed_header_from_json(document) == signed
    validators = ValidatorSet([VALIDATOR])
    assert rpc_json.validator_set_from_json(rpc_json.validator_set_to_json(validators)) == validators


def test_an_absent_signature_is_null_in_json() -> None:
    document = rpc_json.commit_to_json(Commit(3, 1, BLOCK_ID_9, (ABSENT,)))
    assert document["signatures"] == [
        {"block_id_flag": 1, "validator_address": "", "timestamp": "0001-01-01T00:00:00Z", "signature": None}
    ]
    assert rpc_json.commit_from_json(document).signatures == (ABSENT,)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("header", "height"), "1x"),
        (("header", "height"), True),
        (("header", "height"), "9223372036854775808"),
        (("header", "time"), "yesterday"),
        (("header", "time"), "2023-02-30T00:00:00Z"),
        (("header", "app_hash"), "xyz"),
        (("header", "chain_id"), None),
        (("header", "version"), []),
        (("commit", "signatures"), {}),
        (("commit", "block_id"), "no"),
        (("commit",), None),
    ],
)
def test_json_that_is_not_a_header_is_malformed(path: tuple[str, ...], value: object) -> None:
    document = rpc_json.signed_header_to_json(rpc_json.SignedHeader(HEADER_10, COMMIT_9))
    target = document
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    with pytest.raises(Malformed):
        rpc_json.signed_header_from_json(document)


@pytest.mark.parametrize(
    "text", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2023-05-17T14:12:53.088875124Z", "9999-12-31T23:59:59.9Z"]
)
def test_times_survive_their_text(text: str) -> None:
    assert format_time(parse_time(text)) == text


def test_times_with_an_offset_are_the_same_moment() -> None:
    assert parse_time("2023-05-17T16:12:53+02:00") == parse_time("2023-05-17T14:12:53Z")
    assert parse_time("0001-01-01T00:00:00Z") == GO_ZERO_TIME_NS


def test_a_time_outside_the_calendar_is_refused() -> None:
    for time_ns in (GO_ZERO_TIME_NS - 1, 10**30):
        with pytest.raises(Malformed):
            format_time(time_ns)
