"""Block ids and block headers with CometBFT v0.38's bytes and hashes.

Source: cometbft `proto/tendermint/types/types.proto`, `types/block.go` (Header.Hash).
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.crypto import merkle
from chain.errors import Malformed
from chain.wire.protobuf import Fields, bytes_field, integer_field, message_field, read_timestamp, timestamp

BLOCK_PROTOCOL = 11
GO_ZERO_TIME_NS = -62135596800 * 10**9


@dataclass(frozen=True, slots=True)
class PartSetHeader:
    """How many parts of 65 536 bytes a block has, and their Merkle root (32 bytes)."""

    total: int = 0
    hash: bytes = b""

    def encode(self) -> bytes:
        return integer_field(1, self.total) + bytes_field(2, self.hash)

    @classmethod
    def decode(cls, data: bytes) -> PartSetHeader:
        fields = Fields(data)
        return cls(fields.integer(1), fields.binary(2))


@dataclass(frozen=True, slots=True)
class BlockID:
    """A block's header hash (32 bytes) and part set; both empty for "no block"."""

    hash: bytes = b""
    parts: PartSetHeader = PartSetHeader()

    def encode(self) -> bytes:
        return bytes_field(1, self.hash) + message_field(2, self.parts.encode())

    @classmethod
    def decode(cls, data: bytes) -> BlockID:
        fields = Fields(data)
        return cls(fields.binary(1), PartSetHeader.decode(fields.binary(2)))

    @property
    def is_nil(self) -> bool:
        return not self.hash and not self.parts.total and not self.parts.hash


NIL_BLOCK_ID = BlockID()


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A block's header; times in nanoseconds since the Unix epoch, hashes 32 bytes, `app_hash` any length."""

    version_block: int = BLOCK_PROTOCOL
    version_app: int = 0
    chain_id: str
    height: int
    time_ns: int
    last_block_id: BlockID = NIL_BLOCK_ID
    last_commit_hash: bytes = merkle.EMPTY_ROOT
    data_hash: bytes = merkle.EMPTY_ROOT
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes = merkle.EMPTY_ROOT
    evidence_hash: bytes = merkle.EMPTY_ROOT
    proposer_address: bytes

    def hash(self) -> bytes:
        """The Merkle root of the fourteen encoded fields; empty, as in CometBFT, without a validators_hash."""
        if not self.validators_hash:
            return b""
        return merkle.root(
            [
                self._version(),
                bytes_field(1, self.chain_id.encode()),
                integer_field(1, self.height),
                timestamp(self.time_ns),
                self.last_block_id.encode(),
                *(bytes_field(1, value) for value in self._hashes()),
            ]
        )

    def encode(self) -> bytes:
        """The proto message `tendermint.types.Header`."""
        return b"".join(
            [
                message_field(1, self._version()),
                bytes_field(2, self.chain_id.encode()),
                integer_field(3, self.height),
                message_field(4, timestamp(self.time_ns)),
                message_field(5, self.last_block_id.encode()),
                *(bytes_field(number, value) for number, value in enumerate(self._hashes(), start=6)),
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Raises `malformed`."""
        fields = Fields(data)
        version = Fields(fields.binary(1))
        try:
            chain_id = fields.binary(2).decode()
        except UnicodeDecodeError:
            raise Malformed("malformed", "the header's chain id is not UTF-8") from None
        return cls(
            version_block=version.integer(1),
            version_app=version.integer(2),
            chain_id=chain_id,
            height=fields.integer(3),
            time_ns=read_timestamp(fields.binary(4)),
            last_block_id=BlockID.decode(fields.binary(5)),
            last_commit_hash=fields.binary(6),
            data_hash=fields.binary(7),
            validators_hash=fields.binary(8),
            next_validators_hash=fields.binary(9),
            consensus_hash=fields.binary(10),
            app_hash=fields.binary(11),
            last_results_hash=fields.binary(12),
            evidence_hash=fields.binary(13),
            proposer_address=fields.binary(14),
        )

    def _version(self) -> bytes:
        return integer_field(1, self.version_block) + integer_field(2, self.version_app)

    def _hashes(self) -> tuple[bytes, ...]:
        """Fields 6 to 14 in their order."""
        return (
            self.last_commit_hash,
            self.data_hash,
            self.validators_hash,
            self.next_validators_hash,
            self.consensus_hash,
            self.app_hash,
            self.last_results_hash,
            self.evidence_hash,
            self.proposer_address,
        )
