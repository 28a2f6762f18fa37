"""Follows a chain over RPC into the index: in batches, each verified as a whole and written at once.

The header above a batch is verified by signatures; from there every block is reached by its hash, its transactions by
data_hash, their codes by last_results_hash. Only logs and events are the node's word. A batch is one transaction of
the database, whose highest block is where a killed indexer goes on, so no block is ever missing or there twice.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from chain.errors import DccnError, Faulty, Refused
from chain.history.mentions import Mention, of_events, of_transaction
from chain.history.schema import BLOCK_POSITION
from chain.light.client import LightClient
from chain.light.inclusion import check_results
from chain.light.rpc import BlockResults, RawBlock, RawEvent, RpcClient
from chain.light.step import TrustOptions
from chain.wire.cometbft import Header, data_hash
from chain.wire.transactions import Transaction, decode

BATCH_BLOCKS = 50
SINCE_GENESIS = TrustOptions(trusting_period_ns=10**20)
"""The past is followed forward by signatures however old it is; a header of the present that somebody vouches for
(`vouched`) then confirms all of it, which keys of former validators cannot."""


@dataclass(frozen=True, slots=True)
class Progress:
    """After a step: blocks indexed now, the highest one, and the newest of the node."""

    blocks: int
    height: int
    newest: int


class Indexer:
    """One writer. Raises Unavailable `unreachable`, Refused `light_invalid`, `proof_invalid`, `index_foreign`."""

    def __init__(
        self,
        rpc: RpcClient,
        connection: sqlite3.Connection,
        vouched: tuple[int, bytes] | None = None,
        *,
        batch_blocks: int = BATCH_BLOCKS,
    ) -> None:
        self._rpc = rpc
        self._connection = connection
        self._vouched = vouched
        self._batch_blocks = batch_blocks
        self._client: LightClient | None = None
        self._check_vouched_row()

    @property
    def height(self) -> int:
        """The highest block in the index, 0 without any."""
        return int(self._connection.execute("SELECT coalesce(max(height), 0) FROM blocks").fetchone()[0])

    def step(self) -> Progress:
        """Index at most one batch; the newest block waits until the next one proves its results."""
        client = self._light_client()
        newest = self._rpc.status().height
        below = self.height
        first = below + 1 if below else self._base()
        last = min(first + self._batch_blocks - 1, newest - 1)
        if last < first:
            return Progress(0, below, newest)
        rows = self._verified(client, first, last)
        with _transaction(self._connection):
            if self.height != below:
                raise Refused("index_foreign", "another process writes this index; stop one of the two")
            for block, results, block_hash in rows:
                self._write(block, results, block_hash)
        return Progress(len(rows), last, newest)

    def follow(self, told: Callable[[Progress], None], pause: Callable[[], bool]) -> None:
        """Step after step until `pause` answers False; it is asked whenever what was the newest block is reached."""
        goal = 0
        while True:
            progress = self.step()
            goal = goal or progress.newest
            if progress.blocks:
                told(progress)
            if progress.height + 1 >= goal:
                if not pause():
                    return
                goal = 0

    def _light_client(self) -> LightClient:
        if self._client is not None:
            return self._client
        chain_id = self._rpc.status().chain_id
        known = self._about("chain_id")
        if known is not None and known != chain_id:
            raise Refused("index_foreign", f"the index holds chain {known}, the node follows {chain_id}")
        if self.height:
            anchor, anchor_hash = self._connection.execute(
                "SELECT height, hash FROM blocks ORDER BY height DESC LIMIT 1"
            ).fetchone()
        else:
            anchor = self._base()
            anchor_hash = self._rpc.signed_header(anchor).header.hash()
        try:
            client = LightClient(self._rpc, chain_id, anchor, anchor_hash, options=SINCE_GENESIS)
            client.header(anchor)
        except Refused as error:
            if self.height and error.code == "light_invalid":
                raise Refused("index_foreign", f"the node does not have block {anchor} of this index") from None
            raise
        if known is None:
            with _transaction(self._connection):
                self._connection.execute("INSERT OR REPLACE INTO about VALUES ('chain_id', ?)", (chain_id,))
        self._client = client
        return client

    def _base(self) -> int:
        """The first height that the node still has; block 1 unless it prunes."""
        return max(1, int(self._rpc.call("status")["sync_info"].get("earliest_block_height") or 1))

    def _verified(self, client: LightClient, first: int, last: int) -> list[tuple[RawBlock, BlockResults, bytes]]:
        above: Header = client.header(last + 1)
        rows = []
        for height in range(last, first - 1, -1):
            block, results = self._rpc.block(height), self._rpc.block_results(height)
            block_hash = block.header.hash()
            if block_hash != above.last_block_id.hash or block.header.height != height:
                raise Refused("proof_invalid", f"block {height} is not the one that header {above.height} links to")
            if data_hash(block.txs) != block.header.data_hash:
                raise Refused("proof_invalid", f"the transactions of block {height} are not those of its header")
            if len(check_results(results, above).outcomes) != len(block.txs):
                raise Refused("proof_invalid", f"block {height} has not one result for each transaction")
            if self._vouched is not None and self._vouched[0] == height and self._vouched[1] != block_hash:
                raise Refused("light_invalid", f"block {height} has hash {block_hash.hex()}, not the one vouched for")
            rows.append((block, results, block_hash))
            above = block.header
        stored = self._hash_of(first - 1)
        if stored is not None and stored != above.last_block_id.hash:
            raise Refused("index_foreign", f"block {first} of the node does not follow block {first - 1} of this index")
        return rows[::-1]

    def _check_vouched_row(self) -> None:
        if self._vouched is not None:
            stored = self._hash_of(self._vouched[0])
            if stored is not None and stored != self._vouched[1]:
                raise Refused(
                    "index_foreign", f"the index has another block {self._vouched[0]} than the one vouched for"
                )

    def _hash_of(self, height: int) -> bytes | None:
        row = self._connection.execute("SELECT hash FROM blocks WHERE height = ?", (height,)).fetchone()
        return None if row is None else row[0]

    def _about(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _write(self, block: RawBlock, results: BlockResults, block_hash: bytes) -> None:
        header, put = block.header, self._connection.execute
        put(
            "INSERT INTO blocks VALUES (?, ?, ?, ?, ?)",
            (header.height, block_hash, header.time_ns, header.proposer_address, len(block.txs)),
        )
        self._write_events(header.height, BLOCK_POSITION, results.events, of_events(results.events))
        for position, (raw, outcome) in enumerate(zip(block.txs, results.outcomes, strict=True)):
            transaction = _decoded(raw)
            kind, sender, nonce, fee = _columns(transaction)
            put(
                "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    header.height,
                    position,
                    sha256(raw).digest(),
                    kind,
                    sender,
                    nonce,
                    fee,
                    outcome.code,
                    outcome.log,
                    raw,
                ),
            )
            named = [] if transaction is None else list(of_transaction(transaction))
            self._write_events(header.height, position, outcome.events, [*named, *of_events(outcome.events)])

    def _write_events(
        self, height: int, position: int, events: tuple[RawEvent, ...], mentions: list[Mention] | Iterator[Mention]
    ) -> None:
        self._connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
            [(height, position, number, kind, json.dumps(pairs)) for number, (kind, pairs) in enumerate(events)],
        )
        # Proven mentions come first, so that an event never takes the place of one.
        self._connection.executemany(
            "INSERT OR IGNORE INTO mentions VALUES (?, ?, ?, ?, ?, ?)",
            [(one.kind, one.value, height, position, one.role, one.proven) for one in mentions],
        )


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    except sqlite3.OperationalError as error:
        code = "disk_full" if "full" in str(error) else "home_invalid"
        raise Faulty(code, f"writing the index: {error}") from None


def _decoded(raw: bytes) -> Transaction | None:
    """Transaction 0, the beacon, is not a signed transaction and has no sender."""
    try:
        return decode(raw)
    except DccnError:
        return None


def _columns(transaction: Transaction | None) -> tuple[int | None, bytes | None, int | None, str | None]:
    from chain.crypto.address import address

    if transaction is None:
        return None, None, None, None
    nonce = transaction.nonce if transaction.nonce < 1 << 63 else -1  # SQLite's integers are signed
    kind = transaction.type if transaction.type < 1 << 63 else -1
    return kind, address(transaction.sender), nonce, str(transaction.fee)
