"""A Python application behind our ABCI server that accepts everything and does nothing: what Python itself costs.

Usage: python -m tools.bench.network.noop SOCKET
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from chain.application import abci
from chain.engines.cometbft.server import AbciServer


class Noop:
    """The app hash moves with every block that has transactions, as everybody's does."""

    def __init__(self) -> None:
        self._height = self._count = 0

    def info(self, request: abci.RequestInfo) -> abci.ResponseInfo:
        return abci.ResponseInfo("noop", "1", 1, self._height, self._app_hash if self._height else b"")

    def init_chain(self, request: abci.RequestInitChain) -> abci.ResponseInitChain:
        return abci.ResponseInitChain(self._app_hash, ())

    def query(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        return abci.ResponseQuery()

    def check_tx(self, request: abci.RequestCheckTx) -> abci.ResponseCheckTx:
        return abci.ResponseCheckTx()

    def prepare_proposal(self, request: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal:
        chosen, room = [], request.max_tx_bytes
        for tx in request.txs:
            room -= len(tx) + 4
            if room < 0:
                break
            chosen.append(tx)
        return abci.ResponsePrepareProposal(tuple(chosen))

    def process_proposal(self, request: abci.RequestProcessProposal) -> abci.ResponseProcessProposal:
        return abci.ResponseProcessProposal(abci.ProposalStatus.ACCEPT)

    def finalize_block(self, request: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
        self._height, self._count = request.height, self._count + len(request.txs)
        return abci.ResponseFinalizeBlock(self._app_hash, (abci.ExecTxResult(),) * len(request.txs), (), ())

    def commit(self, request: abci.RequestCommit) -> abci.ResponseCommit:
        return abci.ResponseCommit(0)

    def list_snapshots(self, request: abci.RequestListSnapshots) -> abci.ResponseListSnapshots:
        return abci.ResponseListSnapshots(())

    def offer_snapshot(self, request: abci.RequestOfferSnapshot) -> abci.ResponseOfferSnapshot:
        return abci.ResponseOfferSnapshot(abci.OfferResult.REJECT)

    def load_snapshot_chunk(self, request: abci.RequestLoadSnapshotChunk) -> abci.ResponseLoadSnapshotChunk:
        return abci.ResponseLoadSnapshotChunk(b"")

    def apply_snapshot_chunk(self, request: abci.RequestApplySnapshotChunk) -> abci.ResponseApplySnapshotChunk:
        return abci.ResponseApplySnapshotChunk(abci.ChunkResult.ABORT)

    def discard(self) -> None:
        return None

    @property
    def _app_hash(self) -> bytes:
        return self._count.to_bytes(32, "big")


async def main(path: Path) -> None:
    server = AbciServer(Noop())
    await server.start(path)
    await server.failed()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
