"""Load for a network: transactions made ahead, pushed as long as the mempool has room, and what became of them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count, islice

import urllib3

from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.light.rpc import RpcClient
from chain.wire.amounts import ANKR
from chain.wire.bodies import transfer
from chain.wire.transactions import sign

CALLS = 10  # in one request: CometBFT takes no more
BATCH = 200
WAITING_AT_MOST = 6_000
"""Transactions in a mempool: some seconds' worth, so that no block lacks any."""

WARM_UP_S = 5.0
DRAIN_S = 30.0
PREPARED = 40_000


@dataclass(frozen=True, slots=True)
class BlockTimes:
    """Of the blocks after the warm-up. A block counts as committed at the next one's time: its precommits' median."""

    per_second: float
    intervals_s: list[float]
    latencies_s: list[float]


def transfers(senders: Sequence[PrivateKey], chain_id: str) -> Iterator[bytes]:
    """One transfer of each sender after another, in order of nonces."""
    recipients = [address(sender.public) for sender in senders]
    for nonce in count():
        for number, sender in enumerate(senders):
            content = transfer(recipients[(number * 7 + 1) % len(senders)], ANKR)
            yield sign(sender, chain_id, content, nonce=nonce, fee=5 * ANKR).encode()


def key_values(size: int) -> Iterator[bytes]:
    """What the kvstore takes, of the same size and as hard to compress."""
    for number in count():
        name = sha256(b"%d" % number).hexdigest().encode()
        yield (name + b"=" + name * (size // 64 + 1))[:size]


def pushed(urls: Sequence[str], source: Iterator[bytes], seconds: float, per_second: float | None = None) -> BlockTimes:
    """Pushes for so many seconds, a batch to one node after another, and reads the blocks when all is committed.

    At a rate, or, from a store made ahead, as fast as the mempool drains.
    """
    batches = iter(lambda: list(islice(source, BATCH)), [])
    if per_second is None:
        batches = iter(list(islice(batches, PREPARED // BATCH)))
    pool, client = urllib3.PoolManager(maxsize=len(urls)), RpcClient(urls[0], 30)
    sent_at: dict[bytes, float] = {}
    first_height, begun = client.status().height + 1, time.monotonic()
    while (now := time.monotonic()) < begun + seconds:
        if per_second is not None and len(sent_at) > per_second * (now - begun):
            time.sleep(0.01)
            continue
        if int(client.call("num_unconfirmed_txs")["n_txs"]) > WAITING_AT_MOST:
            time.sleep(0.05)
            continue
        batch = next(batches, None)
        if batch is None:
            break
        url = urls[len(sent_at) // BATCH % len(urls)]
        sent_at.update(dict.fromkeys(batch, time.time()))
        _send(pool, url, batch)
    deadline = time.monotonic() + DRAIN_S
    while int(client.call("num_unconfirmed_txs")["n_txs"]) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    return _read(client, first_height, sent_at)


def _send(pool: urllib3.PoolManager, url: str, batch: Sequence[bytes]) -> None:
    calls = [
        {"jsonrpc": "2.0", "id": n, "method": "broadcast_tx_async", "params": {"tx": base64.b64encode(tx).decode()}}
        for n, tx in enumerate(batch)
    ]
    for start in range(0, len(calls), CALLS):
        body = json.dumps(calls[start : start + CALLS]).encode()
        pool.request("POST", url, body=body, headers={"Content-Type": "application/json"})


def _read(client: RpcClient, first_height: int, sent_at: dict[bytes, float]) -> BlockTimes:
    blocks = [client.block(height) for height in range(first_height, client.status().height + 1)]
    ends = [after.header.time_ns / 1e9 for after in blocks[1:]]
    counts = [sum(tx in sent_at for tx in block.txs) for block in blocks[:-1]]
    latencies = [
        end - sent_at[tx] for block, end in zip(blocks, ends, strict=False) for tx in block.txs if tx in sent_at
    ]
    last = max(number for number, found in enumerate(counts) if found)
    first = next((n for n, end in enumerate(ends) if end > ends[0] + WARM_UP_S), 0)
    first = min(first, max(0, last - 1))
    spent = ends[last] - ends[first]
    intervals = [later - earlier for earlier, later in zip(ends[first:last], ends[first + 1 : last + 1], strict=True)]
    return BlockTimes(sum(counts[first + 1 : last + 1]) / spent, intervals, latencies)
