"""Votes, proposals and commits with CometBFT v0.38's sign bytes and hashes.

Source: cometbft `proto/tendermint/types/canonical.proto`, `types/{vote,proposal,block}.go`.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.crypto import merkle
from chain.wire.header import GO_ZERO_TIME_NS, NIL_BLOCK_ID, BlockID
from chain.wire.protobuf import (
    Fields,
    bytes_field,
    delimited,
    integer_field,
    message_field,
    read_timestamp,
    sfixed64_field,
    timestamp,
)

PREVOTE, PRECOMMIT, PROPOSAL = 1, 2, 32
FLAG_ABSENT, FLAG_COMMIT, FLAG_NIL = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Vote:
    """A prevote (type 1) or precommit (type 2); `block_id` None votes for nil."""

    type: int
    height: int
    round: int
    block_id: BlockID | None
    timestamp_ns: int
    validator_address: bytes
    validator_index: int
    signature: bytes = b""

    def sign_bytes(self, chain_id: str) -> bytes:
        return vote_sign_bytes(chain_id, self.type, self.height, self.round, self.block_id, self.timestamp_ns)

    def commit_sig(self) -> CommitSig:
        """What a commit keeps of this precommit."""
        flag = FLAG_NIL if self.block_id is None or self.block_id.is_nil else FLAG_COMMIT
        return CommitSig(flag, self.validator_address, self.timestamp_ns, self.signature)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed block; `pol_round` is -1 unless the proposer saw a polka for it in that earlier round."""

    height: int
    round: int
    pol_round: int
    block_id: BlockID
    timestamp_ns: int
    signature: bytes = b""

    def sign_bytes(self, chain_id: str) -> bytes:
        """The length-delimited CanonicalProposal."""
        return delimited(
            integer_field(1, PROPOSAL)
            + sfixed64_field(2, self.height)
            + sfixed64_field(3, self.round)
            + integer_field(4, self.pol_round)
            + _canonical_block_id(5, self.block_id)
            + message_field(6, timestamp(self.timestamp_ns))
            + bytes_field(7, chain_id.encode())
        )


@dataclass(frozen=True, slots=True)
class CommitSig:
    """One validator's part of a commit: flag 1 absent, 2 for the block, 3 for nil."""

    flag: int
    validator_address: bytes = b""
    timestamp_ns: int = GO_ZERO_TIME_NS
    signature: bytes = b""

    def encode(self) -> bytes:
        return (
            integer_field(1, self.flag)
            + bytes_field(2, self.validator_address)
            + message_field(3, timestamp(self.timestamp_ns))
            + bytes_field(4, self.signature)
        )

    @classmethod
    def decode(cls, data: bytes) -> CommitSig:
        fields = Fields(data)
        return cls(fields.integer(1), fields.binary(2), read_timestamp(fields.binary(3)), fields.binary(4))


ABSENT = CommitSig(FLAG_ABSENT)


@dataclass(frozen=True, slots=True)
class Commit:
    """The precommits that decided a block, one per validator in the set's order."""

    height: int = 0
    round: int = 0
    block_id: BlockID = NIL_BLOCK_ID
    signatures: tuple[CommitSig, ...] = ()

    def hash(self) -> bytes:
        """The Merkle root of the encoded signatures; what the next header calls last_commit_hash."""
        return merkle.root([signature.encode() for signature in self.signatures])

    def vote_sign_bytes(self, chain_id: str, index: int) -> bytes:
        """What validator `index` signed."""
        signature = self.signatures[index]
        block_id = self.block_id if signature.flag == FLAG_COMMIT else None
        return vote_sign_bytes(chain_id, PRECOMMIT, self.height, self.round, block_id, signature.timestamp_ns)

    def encode(self) -> bytes:
        return (
            integer_field(1, self.height)
            + integer_field(2, self.round)
            + message_field(3, self.block_id.encode())
            + b"".join(message_field(4, signature.encode()) for signature in self.signatures)
        )

    @classmethod
    def decode(cls, data: bytes) -> Commit:
        fields = Fields(data)
        signatures = tuple(CommitSig.decode(signature) for signature in fields.repeated(4))
        return cls(fields.integer(1), fields.integer(2), BlockID.decode(fields.binary(3)), signatures)


EMPTY_COMMIT = Commit()


def vote_sign_bytes(
    chain_id: str, kind: int, height: int, round_: int, block_id: BlockID | None, timestamp_ns: int
) -> bytes:
    """The length-delimited CanonicalVote."""
    return delimited(
        integer_field(1, kind)
        + sfixed64_field(2, height)
        + sfixed64_field(3, round_)
        + _canonical_block_id(4, block_id)
        + message_field(5, timestamp(timestamp_ns))
        + bytes_field(6, chain_id.encode())
    )


def _canonical_block_id(number: int, block_id: BlockID | None) -> bytes:
    """CanonicalBlockID has the bytes of BlockID, and is left out for nil."""
    return b"" if block_id is None or block_id.is_nil else message_field(number, block_id.encode())
