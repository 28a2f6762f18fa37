"""The other end of ABCI's socket, as CometBFT would write it: requests in protobuf, pipelined, answered in order."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chain.application.abci import (
    CommitInfo,
    RequestFinalizeBlock,
    RequestInitChain,
    RequestPrepareProposal,
    RequestProcessProposal,
)
from chain.wire.protobuf import Fields, bytes_field, delimited, integer_field, message_field, read_fields, timestamp

ECHO, FLUSH, INFO, INIT_CHAIN, QUERY, CHECK_TX, COMMIT = 1, 2, 3, 5, 6, 8, 11
LIST_SNAPSHOTS, OFFER_SNAPSHOT, LOAD_CHUNK, APPLY_CHUNK = 12, 13, 14, 15
PREPARE, PROCESS, EXTEND_VOTE, VERIFY_EXTENSION, FINALIZE = 16, 17, 18, 19, 20

# The answer's number is the request's plus one, since `exception` is number 1.
EXCEPTION = 1


def request(number: int, content: bytes = b"") -> bytes:
    return delimited(message_field(number, content))


def init_chain(r: RequestInitChain) -> bytes:
    validators = b"".join(
        message_field(4, message_field(1, bytes_field(1, each.public)) + integer_field(2, each.power))
        for each in r.validators
    )
    return (
        message_field(1, timestamp(r.time_ns))
        + bytes_field(2, r.chain_id.encode())
        + validators
        + bytes_field(5, r.app_state_bytes)
        + integer_field(6, r.initial_height)
    )


def prepare_proposal(r: RequestPrepareProposal) -> bytes:
    return (
        integer_field(1, r.max_tx_bytes)
        + b"".join(message_field(2, tx) for tx in r.txs)
        + message_field(3, commit_info(r.local_last_commit, flag=5))
        + integer_field(5, r.height)
        + message_field(6, timestamp(r.time_ns))
        + bytes_field(7, r.next_validators_hash)
        + bytes_field(8, r.proposer_address)
    )


def process_proposal(r: RequestProcessProposal) -> bytes:
    return _block(r.txs, r.proposed_last_commit, r)


def finalize_block(r: RequestFinalizeBlock) -> bytes:
    return _block(r.txs, r.decided_last_commit, r)


def commit_info(info: CommitInfo, flag: int = 3) -> bytes:
    votes = (
        message_field(1, bytes_field(1, vote.validator_address) + integer_field(3, vote.validator_power))
        + integer_field(flag, vote.block_id_flag)
        for vote in info.votes
    )
    return integer_field(1, info.round) + b"".join(message_field(2, vote) for vote in votes)


def _block(txs: tuple[bytes, ...], commit: CommitInfo, r: RequestProcessProposal | RequestFinalizeBlock) -> bytes:
    return (
        b"".join(message_field(1, tx) for tx in txs)
        + message_field(2, commit_info(commit))
        + bytes_field(4, r.hash)
        + integer_field(5, r.height)
        + message_field(6, timestamp(r.time_ns))
        + bytes_field(7, r.next_validators_hash)
        + bytes_field(8, r.proposer_address)
    )


class Connection:
    """One of CometBFT's connections."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, path: Path) -> Connection:
        return cls(*await asyncio.open_unix_connection(str(path)))

    async def call(self, number: int, content: bytes = b"") -> Fields:
        """Sends a request and a flush, as CometBFT's synchronous calls do; the answer to the request."""
        self.writer.write(request(number, content) + request(FLUSH))
        answered, fields = await self.answer()
        assert answered == (number + 1 if answered != EXCEPTION else EXCEPTION)
        if answered != EXCEPTION:
            assert (await self.answer())[0] == FLUSH + 1
        return fields

    async def answer(self) -> tuple[int, Fields]:
        """The next answer: its number and its content. Raises IncompleteReadError at the end."""
        length = shift = 0
        while True:
            byte = (await self._reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        ((number, content),) = read_fields(await self._reader.readexactly(length))
        assert isinstance(content, bytes)
        return number, Fields(content)

    async def is_closed(self) -> bool:
        """Waits for the end; False if there is an answer instead."""
        return await self._reader.read(1) == b""

    def close(self) -> None:
        self.writer.close()
