"""Bodies of the transactions that prove an offence: anybody may send them, the evidence stands for itself."""

from __future__ import annotations

from typing import Any, NamedTuple

from chain.errors import Malformed
from chain.wire.fields import Fields
from chain.wire.header import BlockID, PartSetHeader
from chain.wire.kinds import CONTRADICTION, DOUBLE_SIGN, Content
from chain.wire.votes import PRECOMMIT, PREVOTE, Vote, vote_sign_bytes

MAX_RECORD_BYTES = 32 * 1024
MAX_DELEGATION_BYTES = 512

_KEY_BYTES, _HASH_BYTES, _SIGNATURE_BYTES = 32, 32, 64
_MAX_HEIGHT = (1 << 63) - 1
_MAX_ROUND = (1 << 31) - 1
_MAX_PARTS = (1 << 32) - 1
_MAX_TIME_NS = 253_402_300_799 * 10**9


class SignedBlock(NamedTuple):
    """What one of the two votes says: `[block id / null, time_ns, signature]`; null is a vote for nil."""

    block_id: BlockID | None
    time_ns: int
    signature: bytes


class DoubleSign(NamedTuple):
    """`[consensus public, type, height, round, vote, vote]`: two votes of one key for one height, round and type."""

    consensus: bytes
    type: int
    height: int
    round: int
    votes: tuple[SignedBlock, SignedBlock]

    def sign_bytes(self, chain_id: str, vote: SignedBlock) -> bytes:
        """What CometBFT's validators sign."""
        return vote_sign_bytes(chain_id, self.type, self.height, self.round, vote.block_id, vote.time_ns)


class SignedRecord(NamedTuple):
    """`[delegation, record]`, both whole COSE_Sign1: what a device's boot key signed, and why that key may."""

    delegation: bytes
    record: bytes


class Contradiction(NamedTuple):
    """`[[delegation, record], [delegation, record]]`: two records of one device under one chain and number."""

    first: SignedRecord
    second: SignedRecord


def double_sign(consensus: bytes, first: Vote, second: Vote) -> Content:
    """Two votes for the same height, round and type, as they were gossiped, signed by the key `consensus`."""
    if (first.type, first.height, first.round) != (second.type, second.height, second.round):
        raise Malformed("malformed", "two votes for different heights, rounds or types are no offence")
    head = [consensus, first.type, first.height, first.round]
    return DOUBLE_SIGN, [*head, _vote_row(first), _vote_row(second)]


def contradiction(first: SignedRecord, second: SignedRecord) -> Content:
    return CONTRADICTION, [list(first), list(second)]


def read_double_sign(body: list[Any]) -> DoubleSign:
    fields = Fields(body, None, 6)
    return DoubleSign(
        fields.octets(0, _KEY_BYTES),
        fields.integer(1, PREVOTE, PRECOMMIT),
        fields.integer(2, 1, _MAX_HEIGHT),
        fields.integer(3, 0, _MAX_ROUND),
        (_read_vote(fields.any(4)), _read_vote(fields.any(5))),
    )


def read_contradiction(body: list[Any]) -> Contradiction:
    fields = Fields(body, None, 2)
    return Contradiction(_read_record(fields.any(0)), _read_record(fields.any(1)))


def _vote_row(vote: Vote) -> list[Any]:
    block = vote.block_id
    row = None if block is None or block.is_nil else [block.hash, block.parts.total, block.parts.hash]
    return [row, vote.timestamp_ns, vote.signature]


def _read_vote(row: object) -> SignedBlock:
    fields = Fields(row, None, 3)
    block_id = fields.optional(0, lambda at: _read_block_id(fields.any(at)))
    return SignedBlock(block_id, fields.integer(1, 0, _MAX_TIME_NS), fields.octets(2, _SIGNATURE_BYTES))


def _read_block_id(row: object) -> BlockID:
    fields = Fields(row, None, 3)
    parts = PartSetHeader(fields.integer(1, 1, _MAX_PARTS), fields.octets(2, _HASH_BYTES))
    return BlockID(fields.octets(0, _HASH_BYTES), parts)


def _read_record(row: object) -> SignedRecord:
    fields = Fields(row, None, 2)
    delegation, record = fields.any(0), fields.any(1)
    if type(delegation) is not bytes or len(delegation) > MAX_DELEGATION_BYTES:
        raise Malformed("malformed", f"a delegation is at most {MAX_DELEGATION_BYTES} bytes")
    if type(record) is not bytes or len(record) > MAX_RECORD_BYTES:
        raise Malformed("malformed", f"a record is at most {MAX_RECORD_BYTES} bytes")
    return SignedRecord(delegation, record)
