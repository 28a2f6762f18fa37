"""Blocks, their commits, results and validators, and where every transaction is: the node's own LMDB.

It takes what the engine decides (`chain.engines.ports.BlockSink`) and answers RPC. One transaction per block, durable
before the application commits, so that after a crash the application can be brought up from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from chain.application.abci import Event, EventAttribute, ExecTxResult, ResponseFinalizeBlock, ValidatorUpdate
from chain.application.database import Database
from chain.application.store import height_key
from chain.engines.ports import ChainState, CommittedBlock
from chain.errors import Faulty
from chain.wire import cbor
from chain.wire.cometbft import Block, BlockID, Commit, Validator, ValidatorSet

TABLES = ("block", "id", "commit", "results", "validators", "tx", "hash", "state")
LAST_STATE = b"last"
MAX_RESULTS_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class TxLocation:
    height: int
    index: int


class BlockStore:
    """All committed blocks by height; the caller serialises access."""

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder, TABLES)

    @property
    def height(self) -> int:
        """The newest height; 0 when empty."""
        last = self._database.last("block")
        return int.from_bytes(last[0], "big") if last else 0

    @property
    def base(self) -> int:
        """The oldest height; 0 when empty."""
        first = self._database.first("block")
        return int.from_bytes(first[0], "big") if first else 0

    def save(self, committed: CommittedBlock) -> None:
        """Durable when it returns. Saving a height again is allowed only with the same block."""
        header, key = committed.block.header, height_key(committed.block.header.height)
        known = self.block_id(header.height)
        if known is not None and known != committed.block_id:
            raise Faulty("state_corrupt", f"height {header.height} is stored with block {known.hash.hex()} already")
        if known is None and self.height not in (0, header.height - 1):
            raise Faulty("state_corrupt", f"block {header.height} does not follow the stored {self.height}")
        locations: dict[bytes, bytes | None] = {
            sha256(tx).digest(): key + index.to_bytes(4, "big") for index, tx in enumerate(committed.block.txs)
        }
        following = height_key(header.height + 1)
        self._database.write(
            {
                "block": {key: committed.block.encode()},
                "id": {key: committed.block_id.encode()},
                "commit": {key: committed.commit.encode()},
                "results": {key: encode_results(committed.results)},
                "validators": {
                    key: encode_validators(committed.validators),
                    following: encode_validators(committed.state.validators),
                },
                "tx": locations,
                "hash": {committed.block_id.hash: key},
                "state": {LAST_STATE: committed.state.encode()},
            }
        )

    def last(self) -> CommittedBlock | None:
        """The newest block as it was saved."""
        height, state = self.height, self._database.get("state", LAST_STATE)
        block, block_id, commit = self.block(height), self.block_id(height), self.commit(height)
        results, validators = self.results(height), self.validators(height)
        if not height:
            return None
        if (
            block is None
            or block_id is None
            or commit is None
            or results is None
            or validators is None
            or state is None
        ):
            raise Faulty("state_corrupt", f"block {height} in {self._database.folder} is not complete")
        return CommittedBlock(block, block_id, commit, validators, results, ChainState.decode(state))

    def block(self, height: int) -> Block | None:
        data = self._database.get("block", height_key(height))
        return None if data is None else Block.decode(data)

    def block_bytes(self, height: int) -> bytes | None:
        """The block's protobuf, as its part set holds it."""
        return self._database.get("block", height_key(height))

    def block_id(self, height: int) -> BlockID | None:
        data = self._database.get("id", height_key(height))
        return None if data is None else BlockID.decode(data)

    def commit(self, height: int) -> Commit | None:
        """The precommits for the block at `height`; the next block carries them too."""
        data = self._database.get("commit", height_key(height))
        return None if data is None else Commit.decode(data)

    def results(self, height: int) -> ResponseFinalizeBlock | None:
        data = self._database.get("results", height_key(height))
        return None if data is None else decode_results(data)

    def validators(self, height: int) -> ValidatorSet | None:
        """Who signs `height`; known up to the height after the newest."""
        data = self._database.get("validators", height_key(height))
        return None if data is None else decode_validators(data)

    def height_of(self, block_hash: bytes) -> int | None:
        data = self._database.get("hash", block_hash) if block_hash else None
        return None if data is None else int.from_bytes(data, "big")

    def tx(self, digest: bytes) -> TxLocation | None:
        """Where the transaction with this SHA-256 stands."""
        data = self._database.get("tx", digest) if digest else None
        return None if data is None else TxLocation(int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big"))

    def close(self) -> None:
        self._database.close()


def encode_validators(validators: ValidatorSet) -> bytes:
    return cbor.encode([[each.public, each.power] for each in validators])


def decode_validators(data: bytes) -> ValidatorSet:
    return ValidatorSet(Validator(public, power) for public, power in cbor.decode(data))


def encode_results(results: ResponseFinalizeBlock) -> bytes:
    """Canonical CBOR `[app_hash, [result, …], [event, …], [[key, power], …]]`, all fields in their order."""
    return cbor.encode(
        [
            results.app_hash,
            [_result_items(each) for each in results.tx_results],
            [_event_items(each) for each in results.events],
            [[each.public, each.power] for each in results.validator_updates],
        ]
    )


def decode_results(data: bytes) -> ResponseFinalizeBlock:
    app_hash, results, events, updates = cbor.decode(data, MAX_RESULTS_BYTES)
    return ResponseFinalizeBlock(
        app_hash,
        tuple(_result(*items) for items in results),
        tuple(map(_event, events)),
        tuple(ValidatorUpdate(public, power) for public, power in updates),
    )


def _result_items(result: ExecTxResult) -> list[object]:
    head = [result.code, result.data, result.log, result.info, result.gas_wanted, result.gas_used]
    return [*head, [_event_items(each) for each in result.events], result.codespace]


def _result(
    code: int, data: bytes, log: str, info: str, wanted: int, used: int, events: list[Any], codespace: str
) -> ExecTxResult:
    return ExecTxResult(code, data, log, info, wanted, used, tuple(map(_event, events)), codespace)


def _event_items(event: Event) -> list[object]:
    return [event.type, [[each.key, each.value, each.index] for each in event.attributes]]


def _event(items: list[Any]) -> Event:
    kind, attributes = items
    return Event(kind, tuple(EventAttribute(key, value, index) for key, value, index in attributes))
