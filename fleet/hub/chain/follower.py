"""Follows the chain header by header, believing only what the light client verified."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.errors import Refused
from chain.light.client import LightClient
from chain.light.inclusion import (
    VerifiedTx,
    check_results,
    verified_beacon,
    verified_state,
    verified_transactions,
    verified_tx,
)
from chain.light.rpc import BroadcastAnswer, RpcClient
from chain.light.store import FileTrustStore, MemoryTrustStore
from chain.wire.cometbft import Header
from chain.wire.state import PARAMETERS_KEY, decode_parameters
from fleet.hub.chain.facts import read_fact, write_fact
from fleet.hub.chain.rules import ChainRules, genesis_identity

ANCHOR: Final = "chain/anchor"
RULES: Final = "chain/rules"
CURSOR: Final = "follower/height"
LIGHT_FILE: Final = "light-client.json"
BLOCKS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Block:
    """A verified block: header time in ms since 1970, and all its transactions, the beacon's first."""

    height: int
    time_ms: int
    previous_time_ms: int | None
    transactions: tuple[bytes, ...]


class Follower:
    """Belongs to the chain's thread alone. Raises Unavailable, Refused and Malformed as the node fails."""

    def __init__(self, rpc: RpcClient, home: Path, now_ns: Callable[[], int], *, remember: bool = True) -> None:
        """`remember`: keep the newest trusted header in a file, for one follower per home."""
        self.rpc = rpc
        self._remember = remember
        self._home = home
        self._now_ns = now_ns
        self._client: LightClient | None = None
        self._previous: Header | None = None
        self.rules: ChainRules | None = None
        self.newest: Header | None = None
        self.validators: int | None = None
        self.catching_up = False

    @property
    def client(self) -> LightClient:
        assert self._client is not None, "open() comes first"
        return self._client

    def open(self, connection: sqlite3.Connection) -> None:
        """Find the chain, or find it again. The first time the node's newest header is taken on trust (once).

        Raises Refused(check_failed) when the node follows another chain than before.
        """
        document = self.rpc.call("genesis").get("genesis")
        chain_id, genesis_time_ns, genesis_hash = genesis_identity(document if isinstance(document, dict) else {})
        known = read_fact(connection, RULES)
        if known is not None and ChainRules.from_json(known).genesis_hash != genesis_hash.hex():
            raise Refused("check_failed", f"{self.rpc.url} follows another chain than this hub: {chain_id!r}")
        anchor = read_fact(connection, ANCHOR)
        if anchor is None:
            header = self.rpc.signed_header().header
            anchor = json.dumps({"height": header.height, "hash": header.hash().hex()})
            write_fact(connection, ANCHOR, anchor)
        trusted = json.loads(anchor)
        store = FileTrustStore(self._home / LIGHT_FILE) if self._remember else MemoryTrustStore()
        height, trusted_hash = int(trusted["height"]), bytes.fromhex(trusted["hash"])
        client = LightClient(self.rpc, chain_id, height, trusted_hash, store=store, now_ns=self._now_ns)
        newest = client.update()
        self.validators = len(self.rpc.validators(newest.height))
        self._client = client
        parameters = decode_parameters(self.state(PARAMETERS_KEY)[0] or b"")
        self.rules = ChainRules(chain_id, genesis_hash.hex(), genesis_time_ns, parameters)
        write_fact(connection, RULES, self.rules.to_json())

    def advance(self, connection: sqlite3.Connection) -> list[Block]:
        """The verified blocks after the cursor, oldest first, at most `BLOCKS_AT_ONCE`; `commit` moves the cursor."""
        status = self.rpc.status()
        newest, self.catching_up = status.height, status.catching_up
        cursor = read_fact(connection, CURSOR)
        height = newest - 1 if cursor is None else int(cursor)
        blocks = []
        for at in range(height + 1, min(newest, height + BLOCKS_AT_ONCE) + 1):
            header = self.client.header(at)
            transactions = verified_transactions(self.client, at)
            previous = self._previous if self._previous is not None and self._previous.height == at - 1 else None
            if previous is None and at > 1:
                previous = self.client.header(at - 1)
            before_ms = None if previous is None else _ms(previous.time_ns)
            blocks.append(Block(at, _ms(header.time_ns), before_ms, transactions))
            self._previous = self.newest = header
        return blocks

    @staticmethod
    def commit(connection: sqlite3.Connection, height: int) -> None:
        """Remember that everything up to this height was taken in."""
        write_fact(connection, CURSOR, str(height))

    def state(self, key: bytes) -> tuple[bytes | None, int]:
        """The newest provable value under a key, and its height."""
        return verified_state(self.client, key)

    def find(self, tx_hash: bytes) -> VerifiedTx | None:
        return verified_tx(self.client, tx_hash)

    def codes(self, height: int) -> tuple[int, ...]:
        """What became of each transaction of a block, as the next header commits to it; 0 says that it succeeded."""
        results = check_results(self.rpc.block_results(height), self.client.header(height + 1))
        return tuple(outcome.code for outcome in results.outcomes)

    def broadcast(self, tx: bytes) -> BroadcastAnswer | None:
        return broadcast_once(self.rpc, tx)

    def beacon(self, height: int) -> bytes:
        return verified_beacon(self.client, height)

    def header_time_ms(self, height: int) -> int:
        return _ms(self.client.header(height).time_ns)


def broadcast_once(rpc: RpcClient, tx: bytes) -> BroadcastAnswer | None:
    """CheckTx's answer; None when the node has these bytes already, which CometBFT calls an error."""
    try:
        return rpc.broadcast_tx_sync(tx)
    except Refused as error:
        if error.code == "tx_duplicate":
            return None
        raise


def _ms(time_ns: int) -> int:
    return time_ns // 1_000_000
