"""What must be true of a network's data whatever was killed: records, batches, blocks and supply, read from the disk.

The network is stopped first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from whole_network import reading

from chain.application.abci import (
    BlockIDFlag,
    CommitInfo,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInitChain,
    VoteInfo,
)
from chain.application.app import Application
from chain.application.store import StateStore
from chain.node import home as node_home
from chain.node.block_store import BlockStore
from chain.node.server import engine_genesis
from chain.proofs.batch import BatchLeaf, build_batch
from chain.wire import transactions
from chain.wire.bodies import ProofBatch, read_proof_batch
from chain.wire.cometbft import FLAG_COMMIT
from chain.wire.kinds import PROOF_BATCH
from chain.wire.state import SUPPLY_KEY, Supply
from dccn.demo.network import Places

Key = tuple[bytes, bytes, int]


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub's database: records with hash and reward epoch, leaves by epoch, batches, refusals, contradictions."""

    records: dict[Key, tuple[bytes, int]]
    leaves: dict[int, list[BatchLeaf]]
    batches: dict[int, tuple[bytes, int, int | None]]
    outbox: dict[str, tuple[str, str | None]]
    refusals: dict[str, int]
    contradictions: int


@dataclass(frozen=True, slots=True)
class Spool:
    """What the agent knows to be accepted: up to which number by receipt, and hashes of the newest."""

    chain: bytes
    accepted_upto: int
    hashes: dict[int, bytes]


def read_hub(places: Places) -> Hub:
    with reading(places.hub / "hub.sqlite") as database:
        leaves: dict[int, list[BatchLeaf]] = {}
        for epoch, device, chain, seq, work, raw in database.execute(
            "SELECT l.reward_epoch, l.device, l.chain, l.seq, l.leaf_sum, r.raw FROM batch_leaves l"
            " JOIN records r USING (device, chain, seq)"
        ):
            leaves.setdefault(epoch, []).append(BatchLeaf(device, chain, seq, int(work), raw))
        records = database.execute("SELECT device, chain, seq, payload_hash, reward_epoch FROM records").fetchall()
        return Hub(
            records={(device, chain, seq): (digest, epoch) for device, chain, seq, digest, epoch in records},
            leaves=leaves,
            batches={
                row[0]: row[1:] for row in database.execute("SELECT reward_epoch, root, count, height FROM batches")
            },
            outbox={row[0]: row[1:] for row in database.execute("SELECT subject, state, code FROM outbox")},
            refusals=dict(database.execute("SELECT code, sum(count) FROM refusal_counts GROUP BY code")),
            contradictions=database.execute("SELECT count(*) FROM contradictions").fetchone()[0],
        )


def read_spool(places: Places) -> Spool:
    with reading(places.agent / "spool.sqlite") as database:
        (chain,) = database.execute("SELECT chain FROM chain WHERE is_open = 1").fetchone()
        (upto,) = database.execute("SELECT upto_seq FROM receipt WHERE chain = ?", (chain,)).fetchone()
        hashes = dict(database.execute("SELECT seq, payload_hash FROM accepted WHERE chain = ?", (chain,)))
    return Spool(chain, upto, hashes)


def included_batches(blocks: BlockStore) -> dict[int, ProofBatch]:
    """Reward epoch -> the batch that a block accepted; no epoch has two."""
    found: dict[int, ProofBatch] = {}
    for height in range(1, blocks.height + 1):
        block, results = blocks.block(height), blocks.results(height)
        assert block is not None and results is not None
        for raw, result in zip(block.txs, results.tx_results, strict=True):
            if transactions.is_beacon_tx(raw) or result.code or transactions.decode(raw).type != PROOF_BATCH:
                continue
            batch = read_proof_batch(transactions.decode(raw).body)
            assert batch.reward_epoch not in found, f"two batches for reward epoch {batch.reward_epoch}"
            found[batch.reward_epoch] = batch
    return found


def check_records(hub: Hub, spool: Spool, announced_upto: int) -> int:
    """What was acknowledged is in the hub's database, once and without a gap; how many records that is."""
    acknowledged = max(spool.accepted_upto, announced_upto)
    numbers = sorted(seq for _, chain, seq in hub.records if chain == spool.chain)
    assert numbers == list(range(len(numbers))), "a gap, or a number twice"
    assert len(numbers) > acknowledged, f"acknowledged up to {acknowledged}, stored {len(numbers)}"
    stored = {seq: digest for (_, chain, seq), (digest, _) in hub.records.items() if chain == spool.chain}
    assert spool.hashes and all(stored[seq] == digest for seq, digest in spool.hashes.items())
    return acknowledged + 1


def check_batches(hub: Hub, included: dict[int, ProofBatch]) -> int:
    """Each record is in one batch at most, the blocks hold what the hub thinks they hold, and nothing was left behind.

    A record that is in no batch belongs to an epoch after the last one that was batched. Returns the number of leaves.
    """
    counted = Counter(leaf.order for leaves in hub.leaves.values() for leaf in leaves)
    assert not [order for order, count in counted.items() if count > 1]
    for epoch, batch in included.items():
        root, _, height = hub.batches[epoch]
        assert batch.root == root
        if height is not None:  # else the hub was stopped before it heard of the block
            rebuilt = build_batch(hub.leaves[epoch])
            assert (rebuilt.root, rebuilt.count, rebuilt.sum) == (batch.root, batch.count, batch.sum)
    for epoch, (_, count, height) in hub.batches.items():
        state, code = hub.outbox[f"batch/{epoch}"]
        assert (height is None) or epoch in included, f"the hub thinks that epoch {epoch} is in block {height}"
        assert count or (state == "failed" and code), f"epoch {epoch} was given up without a reason"
        assert height is not None or state != "included" or epoch == max(hub.batches)
    newest = max(hub.batches)
    behind = [key for key, (_, epoch) in hub.records.items() if key not in counted and epoch <= newest]
    assert not behind, f"acknowledged, but in no batch up to epoch {newest}: {behind}"
    return len(counted)


def check_chain(places: Places, scratch: Path) -> tuple[int, dict[int, ProofBatch]]:
    """Supply and replay; (height, included batches)."""
    home = node_home.load(places.node)
    store, blocks = StateStore(home.data / "state"), BlockStore(home.data / "blocks")
    try:
        supply = Supply.decode(store.state(SUPPLY_KEY) or b"")
        assert supply.total_atto == 10**10 * transactions.ANKR
        assert store.height == blocks.height
        assert _replayed(home, blocks, scratch) == store.app_hash
        return blocks.height, included_batches(blocks)
    finally:
        store.close()
        blocks.close()


def _replayed(home: node_home.Home, blocks: BlockStore, scratch: Path) -> bytes:
    """The app hash of a fresh state that all blocks ran on; every header's is compared on the way."""
    app, genesis = Application(StateStore(scratch)), engine_genesis(home)
    begun = RequestInitChain(genesis.time_ns, genesis.chain_id, genesis.validators, genesis.app_state_bytes)
    app_hash = app.init_chain(begun).app_hash
    for height in range(1, blocks.height + 1):
        block, validators = blocks.block(height), blocks.validators(height - 1)
        assert block is not None and block.header.app_hash == app_hash, f"block {height} has another app hash"
        votes: tuple[VoteInfo, ...] = ()
        if height > 1:
            assert block.last_commit is not None and validators is not None
            votes = tuple(
                VoteInfo(each.address, each.power, _flag(signature.flag))
                for each, signature in zip(validators, block.last_commit.signatures, strict=True)
            )
        header = block.header
        app_hash = app.finalize_block(
            RequestFinalizeBlock(
                block.txs, CommitInfo(0, votes), header.hash(), height, header.time_ns, header.proposer_address
            )
        ).app_hash
        app.commit(RequestCommit())
    return app_hash


def _flag(flag: int) -> BlockIDFlag:
    return BlockIDFlag.COMMIT if flag == FLAG_COMMIT else BlockIDFlag(flag)
