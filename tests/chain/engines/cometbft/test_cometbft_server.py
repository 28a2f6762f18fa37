"""ABCI 2.0 over the real socket: its grammar, its order, its limits, and what happens when somebody misbehaves."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.application.abci import (
    BlockIDFlag,
    ChunkResult,
    CommitInfo,
    OfferResult,
    ProposalStatus,
    RequestApplySnapshotChunk,
    RequestCheckTx,
    RequestFinalizeBlock,
    RequestInitChain,
    RequestListSnapshots,
    RequestLoadSnapshotChunk,
    RequestOfferSnapshot,
    RequestPrepareProposal,
    RequestQuery,
    ResponseApplySnapshotChunk,
    ResponseCheckTx,
    ResponseListSnapshots,
    ResponseLoadSnapshotChunk,
    ResponseOfferSnapshot,
    ResponsePrepareProposal,
    ResponseQuery,
    Snapshot,
    ValidatorUpdate,
    VoteInfo,
)
from chain.engines.cometbft.requests import decode_request
from chain.engines.cometbft.responses import FIXED
from chain.engines.cometbft.server import MAX_CONNECTIONS, AbciServer
from chain.errors import Malformed
from chain.wire.protobuf import Fields, bytes_field, integer_field, message_field, read_fields, varint
from tests.chain.engines.cometbft import abci_client as abci
from tests.chain.engines.cometbft.abci_client import Connection, request
from tests.chain.engines.small_chain import SmallApplication

SNAPSHOT = Snapshot(1 << 40, 1, 300, b"hash", b"manifest")
GENESIS = RequestInitChain(1, "small", (ValidatorUpdate(bytes(32), 1),), b'{"a":1}')


class Scripted(SmallApplication):
    """The small application with a mempool and queries; `broken` makes its next call fail."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: Exception | None = None
        self.discarded = 0
        self.checked: list[bytes] = []
        self.restored: list[RequestOfferSnapshot | RequestApplySnapshotChunk] = []

    def check_tx(self, request: RequestCheckTx) -> ResponseCheckTx:
        if self.broken is not None:
            raise self.broken
        self.checked.append(request.tx)
        return ResponseCheckTx(code=int(request.type), data=request.tx, log="säen", gas_wanted=-1)

    def query(self, request: RequestQuery) -> ResponseQuery:
        return ResponseQuery(value=request.path.encode() + request.data, height=request.height, code=int(request.prove))

    def prepare_proposal(self, request: RequestPrepareProposal) -> ResponsePrepareProposal:
        return ResponsePrepareProposal((b"%d" % len(request.local_last_commit.votes), *request.txs))

    def list_snapshots(self, request: RequestListSnapshots) -> ResponseListSnapshots:
        return ResponseListSnapshots((SNAPSHOT, SNAPSHOT))

    def offer_snapshot(self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot:
        self.restored.append(request)
        return ResponseOfferSnapshot(OfferResult.REJECT_SENDER)

    def load_snapshot_chunk(self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk:
        return ResponseLoadSnapshotChunk(b"%d %d %d" % (request.height, request.format, request.chunk))

    def apply_snapshot_chunk(self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk:
        self.restored.append(request)
        return ResponseApplySnapshotChunk(ChunkResult.RETRY, (0, 300), ("one", "two"))

    def discard(self) -> None:
        self.discarded += 1
        self._staged = None


@pytest.fixture
def application() -> Scripted:
    return Scripted()


@pytest.fixture
async def server(application: Scripted, tmp_path: Path) -> AsyncIterator[AbciServer]:
    server = AbciServer(application, max_message_bytes=4096)
    await server.start(tmp_path / "abci.sock")
    yield server
    await server.close()


@pytest.fixture
async def connection(server: AbciServer, tmp_path: Path) -> AsyncIterator[Connection]:
    connection = await Connection.open(tmp_path / "abci.sock")
    yield connection
    connection.close()


def block(height: int, *txs: bytes) -> bytes:
    return abci.finalize_block(
        RequestFinalizeBlock((b"beacon", *txs), COMMIT_INFO, sha256(b"%d" % height).digest(), height, 5, bytes(20))
    )


COMMIT_INFO = CommitInfo(1, (VoteInfo(bytes(20), 1, BlockIDFlag.COMMIT), VoteInfo(bytes(20), 1, BlockIDFlag.ABSENT)))


async def test_a_chain_lives_through_the_grammar_of_abci(application: Scripted, connection: Connection) -> None:
    call = connection.call
    assert (await call(abci.ECHO, bytes_field(1, b"hello"))).binary(1) == b"hello"
    info = await call(abci.INFO, bytes_field(1, b"0.38.26") + integer_field(2, 11) + bytes_field(4, b"2.0.0"))
    assert (info.binary(1), info.integer(4)) == (b"small", 0)
    begun = await call(abci.INIT_CHAIN, abci.init_chain(GENESIS))
    assert begun.binary(3) == sha256(b'{"a":1}').digest()
    assert Fields(begun.binary(2)).integer(2) == 1
    for height in (1, 2):
        processed = await call(abci.PROCESS, block(height))
        assert processed.integer(1) == ProposalStatus.ACCEPT
        finalized = await call(abci.FINALIZE, block(height, b"tx"))
        assert len(finalized.repeated(2)) == 2
        await call(abci.COMMIT)
        assert finalized.binary(5) == application.app_hash
    assert (application.height, application.begun) == (2, 1)
    assert [len(each.decided_last_commit.votes) for each in application.finalized] == [2, 2]
    assert (await call(abci.PROCESS, block(3, b"invalid"))).integer(1) == ProposalStatus.REJECT
    queried = await call(abci.QUERY, bytes_field(1, b"key") + bytes_field(2, b"/state") + integer_field(3, 7))
    assert (queried.binary(7), queried.integer(9)) == (b"/statekey", 7)


async def test_what_is_not_offered_is_answered_all_the_same(connection: Connection) -> None:
    assert (await connection.call(abci.EXTEND_VOTE)).binary(1) == b""
    assert (await connection.call(abci.VERIFY_EXTENSION)).integer(1) == 1


async def test_snapshots_are_listed_loaded_offered_and_applied(application: Scripted, connection: Connection) -> None:
    listed = (await connection.call(abci.LIST_SNAPSHOTS)).repeated(1)
    assert len(listed) == 2
    asked = integer_field(1, 7) + integer_field(2, 1) + integer_field(3, 2)
    assert (await connection.call(abci.LOAD_CHUNK, asked)).binary(1) == b"7 1 2"
    offer = message_field(1, listed[0]) + bytes_field(2, b"app hash")
    assert (await connection.call(abci.OFFER_SNAPSHOT, offer)).integer(1) == OfferResult.REJECT_SENDER
    chunk = integer_field(1, 5) + bytes_field(2, b"chunk") + bytes_field(3, b"peer")
    answer = await connection.call(abci.APPLY_CHUNK, chunk)
    assert answer.integer(1) == ChunkResult.RETRY
    assert answer.binary(2) == varint(0) + varint(300)
    assert answer.repeated(3) == [b"one", b"two"]
    assert application.restored == [
        RequestOfferSnapshot(SNAPSHOT, b"app hash"),
        RequestApplySnapshotChunk(5, b"chunk", "peer"),
    ]


async def test_the_votes_of_a_proposals_extended_commit_are_read(connection: Connection) -> None:
    votes = message_field(3, abci.commit_info(COMMIT_INFO, flag=5))
    answer = await connection.call(abci.PREPARE, integer_field(1, 100) + message_field(2, b"tx") + votes)
    assert answer.repeated(1) == [b"2", b"tx"]


async def test_pipelined_requests_are_answered_in_their_order(application: Scripted, connection: Connection) -> None:
    txs = [b"%d" % number for number in range(500)]
    connection.writer.write(b"".join(request(abci.CHECK_TX, bytes_field(1, tx)) for tx in txs) + request(abci.FLUSH))
    answers = [await connection.answer() for _ in range(501)]
    assert [fields.binary(2) for number, fields in answers[:-1]] == txs == application.checked
    assert [number for number, _ in answers] == [abci.CHECK_TX + 1] * 500 + [abci.FLUSH + 1]
    assert (answers[0][1].binary(3).decode(), answers[0][1].integer(5)) == ("säen", -1)


async def test_requests_may_arrive_in_any_pieces(connection: Connection) -> None:
    whole = b"".join(request(abci.ECHO, bytes_field(1, b"%d" % n * 40)) for n in range(30)) + request(abci.FLUSH)
    dice, at = random.Random(1), 0
    while at < len(whole):
        size = dice.choice([1, 2, 3, 50, 400])
        connection.writer.write(whole[at : at + size])
        await connection.writer.drain()
        await asyncio.sleep(0)
        at += size
    answers = [await connection.answer() for _ in range(31)]
    assert [fields.binary(1) for _, fields in answers[:-1]] == [b"%d" % n * 40 for n in range(30)]


async def test_four_connections_are_served_side_by_side(connection: Connection, tmp_path: Path) -> None:
    others = [await Connection.open(tmp_path / "abci.sock") for _ in range(3)]
    answers = await asyncio.gather(*(each.call(abci.ECHO, bytes_field(1, b"x")) for each in [connection, *others]))
    assert [answer.binary(1) for answer in answers] == [b"x"] * 4
    for each in others:
        each.close()


async def test_connections_over_the_limit_are_turned_away(connection: Connection, tmp_path: Path) -> None:
    others = [await Connection.open(tmp_path / "abci.sock") for _ in range(MAX_CONNECTIONS)]
    assert await others[-1].is_closed()
    assert (await others[0].call(abci.ECHO, bytes_field(1, b"x"))).binary(1) == b"x"
    for each in others:
        each.close()


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\xff" * 11,
        varint(4097),
        b"\x05\x00\x00\x00\x00\x00",
        request(4),
        request(21),
        varint(2) + b"\x08\x01",
        varint(0),
        varint(4) + b"\x0a\x00\x12\x00",
        request(abci.CHECK_TX, integer_field(2, 9)),
        request(abci.INFO, bytes_field(1, b"\xff")),
        request(abci.QUERY, b"\x0a\x09x"),
    ],
)
async def test_a_malformed_request_ends_its_connection_and_no_other(
    bytes_: bytes, connection: Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = await Connection.open(tmp_path / "abci.sock")
    with caplog.at_level(logging.WARNING, "chain.engines.cometbft.server"):
        connection.writer.write(request(abci.ECHO, bytes_field(1, b"first")) + bytes_)
        assert (await connection.answer())[1].binary(1) == b"first"
        assert await connection.is_closed()
    assert "an ABCI connection is closed" in caplog.text
    assert (await other.call(abci.ECHO, bytes_field(1, b"x"))).binary(1) == b"x"
    other.close()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    try:
        decode_request(data)
    except Malformed as error:
        assert error.code == "malformed"


@given(st.sampled_from([3, 5, 6, 8, 16, 17, 20]), st.binary(max_size=120))
def test_any_content_of_a_known_request_is_read_or_refused(number: int, content: bytes) -> None:
    try:
        decode_request(message_field(number, content))
    except Malformed as error:
        assert error.code == "malformed"


async def test_a_failing_application_says_so_once_and_answers_nobody_any_more(
    application: Scripted, server: AbciServer, connection: Connection, tmp_path: Path
) -> None:
    other = await Connection.open(tmp_path / "abci.sock")
    await other.call(abci.ECHO)
    application.broken = ZeroDivisionError("the ledger")
    connection.writer.write(request(abci.CHECK_TX, bytes_field(1, b"x")) * 2)
    number, fields = await connection.answer()
    assert (number, fields.binary(1)) == (abci.EXCEPTION, b"ZeroDivisionError: the ledger")
    assert await connection.is_closed()
    with pytest.raises(ZeroDivisionError):
        await server.failed()
    application.broken = None
    other.writer.write(request(abci.ECHO))
    assert (await other.answer())[0] == abci.EXCEPTION
    assert application.checked == []


async def test_a_block_of_an_engine_that_died_before_commit_is_forgotten(
    application: Scripted, connection: Connection, tmp_path: Path
) -> None:
    await connection.call(abci.INIT_CHAIN, abci.init_chain(GENESIS))
    await connection.call(abci.FINALIZE, block(1))
    # Somebody else's request in between changes nothing.
    other = await Connection.open(tmp_path / "abci.sock")
    await other.call(abci.INFO)
    assert application.discarded == 0
    connection.close()
    fresh = await Connection.open(tmp_path / "abci.sock")
    await fresh.call(abci.FINALIZE, block(1))
    await fresh.call(abci.COMMIT)
    assert (application.discarded, application.height) == (1, 1)
    fresh.close()
    other.close()


async def test_only_this_user_may_connect_and_a_left_over_socket_is_replaced(
    application: Scripted, server: AbciServer, tmp_path: Path
) -> None:
    path = tmp_path / "abci.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    second = AbciServer(application)
    await second.start(path)
    connection = await Connection.open(path)
    assert (await connection.call(abci.ECHO, bytes_field(1, b"x"))).binary(1) == b"x"
    connection.close()
    await second.close()


def test_every_fixed_answer_is_one_message() -> None:
    for content in FIXED.values():
        assert len(list(read_fields(content))) == 1


async def _content(connection: Connection, number: int) -> bytes:
    return (await connection.call(number)).binary(1)
