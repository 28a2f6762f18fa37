"""Blocks, part sets and what headers say about transactions, results and parameters, with CometBFT v0.38's bytes.

Source: cometbft `proto/tendermint/types/{block,types,params}.proto`, `types/{block,part_set,tx,results,params}.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from chain.crypto import merkle
from chain.errors import Malformed
from chain.wire.header import BlockID, Header, PartSetHeader
from chain.wire.protobuf import Fields, bytes_field, integer_field, message_field
from chain.wire.votes import Commit

PART_BYTES = 65_536
MAX_BLOCK_BYTES = 22_020_096
EMPTY_EVIDENCE_HASH = merkle.EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Block:
    """A header, its transactions and the commit of the block before; this chain's blocks carry no evidence."""

    header: Header
    txs: tuple[bytes, ...]
    last_commit: Commit | None

    def encode(self) -> bytes:
        """The proto message `tendermint.types.Block`."""
        data = b"".join(message_field(1, tx) for tx in self.txs)
        last_commit = b"" if self.last_commit is None else message_field(4, self.last_commit.encode())
        return message_field(1, self.header.encode()) + message_field(2, data) + message_field(3, b"") + last_commit

    @classmethod
    def decode(cls, data: bytes) -> Block:
        """Read a block strictly; raises `malformed` or `non_canonical`."""
        fields = Fields(data)
        if fields.binary(3):
            raise Malformed("malformed", "the block carries evidence, which this chain does not know")
        txs = tuple(Fields(fields.binary(2)).repeated(1))
        last_commit = Commit.decode(fields.binary(4)) if 4 in fields else None
        block = cls(Header.decode(fields.binary(1)), txs, last_commit)
        if block.encode() != data:
            raise Malformed("non_canonical", "the block's bytes are not the canonical encoding of its content")
        return block

    def part_set_header(self) -> PartSetHeader:
        return part_set_header(self.encode())

    def block_id(self) -> BlockID:
        """Header hash and part set; encodes and hashes the whole block, so keep it."""
        return BlockID(self.header.hash(), self.part_set_header())


@dataclass(frozen=True, slots=True)
class ConsensusParams:
    """The two consensus parameters that headers commit to; max_gas -1 is no limit."""

    max_bytes: int = MAX_BLOCK_BYTES
    max_gas: int = -1

    def hash(self) -> bytes:
        """SHA-256 of HashedParams{block_max_bytes, block_max_gas}: what headers call consensus_hash."""
        return sha256(integer_field(1, self.max_bytes) + integer_field(2, self.max_gas)).digest()


class ExecTxResult(Protocol):
    """The deterministic part of a transaction's result."""

    @property
    def code(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def gas_wanted(self) -> int: ...
    @property
    def gas_used(self) -> int: ...


def part_set_header(encoded_block: bytes) -> PartSetHeader:
    """Count and Merkle root of the block's parts."""
    parts = [encoded_block[start : start + PART_BYTES] for start in range(0, len(encoded_block), PART_BYTES)]
    return PartSetHeader(len(parts), merkle.root(parts))


def tx_hash(tx: bytes) -> bytes:
    return sha256(tx).digest()


def data_hash(txs: Iterable[bytes]) -> bytes:
    """The Merkle root whose leaves are the transactions' SHA-256 hashes."""
    return merkle.root([sha256(tx).digest() for tx in txs])


def data_proof(txs: Sequence[bytes], index: int) -> list[bytes]:
    """The path of transaction `index` under `data_hash`, from leaf to root."""
    return merkle.proof([sha256(tx).digest() for tx in txs], index)


def verify_data_proof(root: bytes, tx: bytes, index: int, total: int, path: Sequence[bytes]) -> bool:
    """Whether `tx` is number `index` of the `total` transactions under the header's data_hash."""
    return merkle.verify(root, sha256(tx).digest(), index, total, path)


def last_results_hash(results: Iterable[ExecTxResult]) -> bytes:
    """The Merkle root of the results' deterministic fields: code, data, gas_wanted, gas_used."""
    return merkle.root([encode_result(result) for result in results])


def encode_result(result: ExecTxResult) -> bytes:
    """ExecTxResult without what nodes may answer differently (log, info, events, codespace)."""
    return (
        integer_field(1, result.code)
        + bytes_field(2, result.data)
        + integer_field(5, result.gas_wanted)
        + integer_field(6, result.gas_used)
    )
