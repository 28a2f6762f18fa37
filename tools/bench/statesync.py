"""Writing a snapshot of 100 000 accounts, and beginning with one: checked, hashed, stored; against storing alone."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from chain.application.abci import (
    ChunkResult,
    CommitInfo,
    OfferResult,
    RequestApplySnapshotChunk,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInitChain,
    RequestListSnapshots,
    RequestLoadSnapshotChunk,
    RequestOfferSnapshot,
    RequestPrepareProposal,
)
from chain.application.app import Application
from chain.application.restore import Restore
from chain.application.snapshots import Snapshots
from chain.application.store import StateStore
from chain.crypto import vrf
from chain.crypto.address import address, validator_address
from chain.ledger.genesis import build_demo_app_state
from chain.ledger.parameters import Parameters
from chain.node.home import NETWORK_POWER
from chain.wire.amounts import ANKR
from chain.wire.bodies import transfer
from chain.wire.transactions import sign
from tools.bench.measure import Row
from tools.bench.transfers import CHAIN_ID, SECOND_NS, account

ACCOUNTS = 100_000
BLOCKS = 4  # the snapshot of the first is offered when two more have followed


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(StateStore(folder / "a")) as store, closing(Snapshots(folder / "snapshots", 1_000)) as snapshots:
            app_hash = grown(store, snapshots)
            yield from begun_with(folder, store, snapshots, app_hash)


def grown(store: StateStore, snapshots: Snapshots) -> bytes:
    """A chain with that many accounts and a snapshot of its first block; returns the app hash there."""
    operator, owner, secret = account("operator"), account("owner"), bytes(32)
    somebody = (hashlib.sha256(b"%d" % number).digest()[:20] for number in range(ACCOUNTS - 1))
    grants = [(address(owner.public), 1_000 * ANKR), *((each, ANKR) for each in somebody)]
    operators = [("seed", owner.public, operator.public.x, vrf.public_key(secret))]
    parameters = replace(Parameters(), validator_power=NETWORK_POWER)
    app_state = build_demo_app_state(address(operator.public), operators, parameters, grants)
    proposer, nobody = validator_address(operator.public.x), CommitInfo(0, ())
    app = Application(store, vrf_keys={proposer: secret}, snapshots=snapshots)
    app.init_chain(RequestInitChain(0, CHAIN_ID, (), json.dumps(app_state).encode()))
    hashes = []
    for height in range(1, BLOCKS + 1):
        paid = sign(owner, CHAIN_ID, transfer(bytes(20), ANKR), nonce=height - 1, fee=5 * ANKR).encode()
        time_ns = height * SECOND_NS
        txs = app.prepare_proposal(RequestPrepareProposal(1 << 20, (paid,), nobody, height, time_ns, proposer)).txs
        block = RequestFinalizeBlock(txs, nobody, bytes(32), height, time_ns, proposer)
        hashes.append(app.finalize_block(block).app_hash)
        app.commit(RequestCommit())
    snapshots.wait()
    return hashes[0]


def begun_with(folder: Path, store: StateStore, snapshots: Snapshots, app_hash: bytes) -> Iterator[Row]:
    source = Application(store, snapshots=snapshots)
    (offered,) = source.list_snapshots(RequestListSnapshots()).snapshots
    chunks = [
        source.load_snapshot_chunk(RequestLoadSnapshotChunk(offered.height, offered.format, number)).chunk
        for number in range(offered.chunks)
    ]
    chain = store.chain
    assert chain is not None
    with closing(StateStore(folder / "b")) as target:
        joining = Application(target, restore=Restore(target, folder / "restore", chain))
        begun = time.perf_counter()
        assert joining.offer_snapshot(RequestOfferSnapshot(offered, app_hash)).result is OfferResult.ACCEPT
        for number, chunk in enumerate(chunks):
            answer = joining.apply_snapshot_chunk(RequestApplySnapshotChunk(number, chunk, "peer"))
            assert answer.result is ChunkResult.ACCEPT
        taken = time.perf_counter() - begun
        pairs = dict(target.pairs())
    with closing(StateStore(folder / "c")) as bare:
        begun = time.perf_counter()
        bare.write({"state": pairs})
        stored = time.perf_counter() - begun
    size = sum(map(len, chunks)) / 1e6
    yield Row(f"statesync: a snapshot of {ACCOUNTS} accounts", size, "MB in chunks")
    yield Row("statesync: checked, hashed and stored", taken, "s", "stored alone s", stored)
