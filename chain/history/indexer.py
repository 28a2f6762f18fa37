"""Follows a chain over RPC into the index: in batches, each verified as a whole and written at once.

The header above a batch is verified by signatures; from there every block is reached by its hash, its transactions by
data_hash, their codes by last_results_hash. Only logs and events are the node's word. A batch is one transaction of
the database, whose highest block is where a killed indexer goes on, so no block is ever missing or there twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from chain.errors import Refused
from chain.history.rows import write_block
from chain.history.schema import about, blocks
from chain.history.store import Index
from chain.light.client import LightClient
from chain.light.inclusion import check_results
from chain.light.rpc import BlockResults, RawBlock, RpcClient
from chain.light.step import TrustOptions
from chain.wire.cometbft import Header, data_hash

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
    """Writes verified blocks; several may write one index, and each block is in it once.

    Raises Unavailable `unreachable`, `index_unreachable`, Refused `light_invalid`, `proof_invalid`, `index_foreign`.
    """

    def __init__(
        self,
        rpc: RpcClient,
        index: Index,
        vouched: tuple[int, bytes] | None = None,
        *,
        batch_blocks: int = BATCH_BLOCKS,
    ) -> None:
        self._rpc = rpc
        self._index = index
        self._vouched = vouched
        self._batch_blocks = batch_blocks
        self._client: LightClient | None = None
        self._check_vouched_row()

    @property
    def height(self) -> int:
        """The highest block in the index, 0 without any."""
        with self._index.read() as connection:
            return _height(connection)

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
        with self._index.begin() as connection:
            now = _height(connection)
            if now != below:  # another indexer was faster; its rows are these rows, and the next step checks them
                return Progress(0, now, newest)
            for block, results, block_hash in rows:
                write_block(connection, block, results, block_hash)
        return Progress(len(rows), last, newest)

    def follow(
        self, told: Callable[[Progress], None], pause: Callable[[], bool], is_over: Callable[[], bool] = lambda: False
    ) -> None:
        """Step after step until `pause` answers False; it is asked whenever what was the newest block is reached.

        `is_over` is asked after every step: years of blocks may lie between here and the newest.
        """
        goal = 0
        while True:
            progress = self.step()
            goal = goal or progress.newest
            if progress.blocks:
                told(progress)
            if is_over():
                return
            if progress.height + 1 >= goal:
                if not pause():
                    return
                goal = 0

    def _light_client(self) -> LightClient:
        if self._client is not None:
            return self._client
        chain_id = self._rpc.status().chain_id
        with self._index.read() as connection:
            known = _chain_id(connection)
        if known is not None and known != chain_id:
            raise Refused("index_foreign", f"the index holds chain {known}, the node follows {chain_id}")
        if self.height:
            with self._index.read() as connection:
                anchor, anchor_hash = connection.execute(
                    select(blocks.c.height, blocks.c.hash).order_by(blocks.c.height.desc()).limit(1)
                ).one()
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
            self._name_chain(chain_id)
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
        with self._index.read() as connection:
            return connection.execute(select(blocks.c.hash).where(blocks.c.height == height)).scalar()

    def _name_chain(self, chain_id: str) -> None:
        with self._index.begin() as connection:
            known = _chain_id(connection)
            if known is None:
                connection.execute(about.insert().values(name="chain_id", value=chain_id))
            elif known != chain_id:
                raise Refused("index_foreign", f"the index holds chain {known}, the node follows {chain_id}")


def _height(connection: Connection) -> int:
    return connection.execute(select(func.max(blocks.c.height))).scalar() or 0


def _chain_id(connection: Connection) -> str | None:
    return connection.execute(select(about.c.value).where(about.c.name == "chain_id")).scalar()
