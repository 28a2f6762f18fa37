"""The application with its calls measured: what a node runs; the application itself knows nothing of it."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from chain.application.abci import (
    RequestCheckTx,
    RequestCommit,
    RequestFinalizeBlock,
    RequestPrepareProposal,
    RequestProcessProposal,
    RequestQuery,
    ResponseCheckTx,
    ResponseCommit,
    ResponseFinalizeBlock,
    ResponsePrepareProposal,
    ResponseProcessProposal,
    ResponseQuery,
)
from chain.application.app import Application
from chain.application.store import StateStore
from chain.node.metrics import NodeMetrics


class MeasuredApplication(Application):
    """Blocks count when they are committed, since an engine may finalize one again after a crash."""

    def __init__(self, metrics: NodeMetrics, store: StateStore, **options: Any) -> None:
        super().__init__(store, **options)
        self._metrics = metrics
        self._finalized: tuple[RequestFinalizeBlock, ResponseFinalizeBlock] | None = None
        self._show(store.time_ns)

    def check_tx(self, request: RequestCheckTx) -> ResponseCheckTx:
        begun_s = perf_counter()
        answer = super().check_tx(request)
        self._metrics.took("check_tx", begun_s)
        self._metrics.count_checked(answer.code)
        return answer

    def prepare_proposal(self, request: RequestPrepareProposal) -> ResponsePrepareProposal:
        begun_s = perf_counter()
        answer = super().prepare_proposal(request)
        self._metrics.took("prepare_proposal", begun_s)
        return answer

    def process_proposal(self, request: RequestProcessProposal) -> ResponseProcessProposal:
        begun_s = perf_counter()
        answer = super().process_proposal(request)
        self._metrics.took("process_proposal", begun_s)
        self._metrics.count_judged(accepted=answer.accepted)
        return answer

    def finalize_block(self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock:
        begun_s = perf_counter()
        answer = super().finalize_block(request)
        self._metrics.took("finalize_block", begun_s)
        self._finalized = request, answer
        return answer

    def commit(self, request: RequestCommit) -> ResponseCommit:
        begun_s = perf_counter()
        answer = super().commit(request)
        self._metrics.took("commit", begun_s)
        if self._finalized is not None:
            block, results = self._finalized
            self._finalized = None
            self._show(block.time_ns)
            for result in results.tx_results[1:]:
                self._metrics.count_in_block(result.code)
            if block.proposer_address in self._vrf_keys:
                self._metrics.proposed.inc()
        return answer

    def query(self, request: RequestQuery) -> ResponseQuery:
        begun_s = perf_counter()
        answer = super().query(request)
        self._metrics.took("query", begun_s)
        return answer

    def _show(self, time_ns: int) -> None:
        self._metrics.height.set(self.height)
        self._metrics.block_time_s.set(time_ns / 10**9)
