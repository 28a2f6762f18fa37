"""The embedded engine: one application and n signers in one process make real CometBFT v0.38 blocks.

One machine, no fault tolerance against its loss; everything else is as in a network: proposer by the beacon, three
steps, every vote signed, verified and remembered on disk before it counts.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chain import slsbft
from chain.application.abci import RequestCommit, RequestPrepareProposal, RequestProcessProposal
from chain.consensus.messages import ScheduleTimeout, Timeouts
from chain.crypto.keys import PrivateKey
from chain.engines.ballot import Ballot, Decision, Table
from chain.engines.block_rules import check_block, commit_info, make_block, max_tx_bytes, next_time_ns, state_after
from chain.engines.durable import Sync
from chain.engines.handshake import ConsensusApplication, EngineGenesis, Standing, finalize_request, handshake
from chain.engines.height_log import HeightLog
from chain.engines.pace import Pace
from chain.engines.ports import BlockSink, ChainState, CommittedBlock, TransactionSource
from chain.engines.sign_state import SignState
from chain.engines.signer import Signer
from chain.errors import Faulty, Refused
from chain.wire.cometbft import Block, ValidatorSet

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`folder` holds sign state and log; intervals are the chain's parameters."""

    folder: Path
    pace: Pace
    timeouts: Timeouts = Timeouts()  # noqa: RUF009  # frozen, so it may be shared


class EmbeddedEngine:
    """Makes blocks while `run` runs. All calls belong to one event loop and happen in it, one after the other."""

    def __init__(
        self,
        application: ConsensusApplication,
        genesis: EngineGenesis,
        keys: Sequence[PrivateKey],
        sink: BlockSink,
        transactions: TransactionSource,
        settings: EngineSettings,
        *,
        on_commit: Callable[[CommittedBlock], None] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        sync: Sync = os.fdatasync,
    ) -> None:
        """Performs the handshake; raises Faulty when application, blocks and sign state contradict each other."""
        self._application = application
        self._genesis = genesis
        self._sink = sink
        self._transactions = transactions
        self._pace = settings.pace
        self._on_commit = on_commit
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sign_state = SignState(settings.folder / "sign_state", sync)
        self._log = HeightLog(settings.folder / "height_log", sync)
        signers = tuple(Signer(key, self._sign_state) for key in keys)
        self._table = Table(genesis.chain_id, signers, self._sign_state, self._log, settings.timeouts, now_ns)
        if self._sign_state.is_new and sink.last() is not None:
            raise Faulty("state_corrupt", f"blocks are stored, but {settings.folder} does not say what was signed")
        self._standing = handshake(application, sink, genesis)
        self._elapsed: asyncio.Queue[tuple[Ballot, ScheduleTimeout, bytes]] = asyncio.Queue()
        self._progress = asyncio.Condition()

    @property
    def state(self) -> ChainState:
        """After the newest committed block."""
        return self._standing.state

    async def run(self) -> None:
        """Makes blocks until cancelled; whatever it raises must halt the node. Cancelling is safe at any moment."""
        clock_s = asyncio.get_running_loop().time
        begun_s = clock_s()
        resumed = self._log.begin(self.state.height + 1) != []
        while True:
            if not resumed:
                await self._pace.wait(begun_s, self._standing.proof_block_due, self._transactions.available, clock_s)
            resumed = False
            begun_s = clock_s()
            self._commit(await self._decide())
            async with self._progress:
                self._progress.notify_all()

    async def wait_for_height(self, height: int) -> ChainState:
        """Returns when a block at `height` or above is committed."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.state.height >= height)
        return self.state

    def close(self) -> None:
        """Closes the files; call it after `run` has ended."""
        self._sign_state.close()
        self._log.close()

    async def _decide(self) -> Decision:
        state = self.state
        loop = asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []

        def schedule(effect: ScheduleTimeout, name: bytes) -> None:
            timers.append(loop.call_later(effect.duration_ms / 1000, self._elapsed.put_nowait, (ballot, effect, name)))

        ballot = Ballot(
            self._table,
            state.height + 1,
            state.validators,
            state.block_time_ns,
            self._proposer(state.validators),
            self,
            schedule,
        )
        try:
            ballot.start()
            while ballot.decision is None:
                of, effect, name = await self._elapsed.get()
                if of is ballot:
                    ballot.timeout(effect, name)
        finally:
            for timer in timers:
                timer.cancel()
        return ballot.decision

    def _proposer(self, validators: ValidatorSet) -> Callable[[int, int], bytes]:
        """SLSBFT's choice: any validator with equal chance, known when block h-2 is, for every round anew."""
        ascending = sorted(validator.address for validator in validators)

        def proposer(height: int, round_: int) -> bytes:
            beacon = self._application.beacon(height - 2)
            return ascending[slsbft.proposer(beacon, height, round_, len(ascending))]

        return proposer

    # Ballot's `Blocks`

    def build(self, proposer: bytes) -> Block:
        """A new block of what waits in the mempool."""
        state, last, params = self.state, self._standing.last, self._genesis.params
        room = max_tx_bytes(params, len(state.validators))
        answer = self._application.prepare_proposal(
            RequestPrepareProposal(
                max_tx_bytes=room,
                txs=tuple(self._transactions.reap(room)),
                local_last_commit=commit_info(last),
                height=state.height + 1,
                time_ns=next_time_ns(state, last),
                proposer_address=proposer,
                next_validators_hash=state.next_validators.hash(),
            )
        )
        return make_block(self._genesis.chain_id, state, last, answer.txs, proposer, params)

    def is_valid(self, block: Block, block_hash: bytes) -> bool:
        """The header follows from the state, and the application accepts the rest."""
        last = self._standing.last
        try:
            check_block(block, self._genesis.chain_id, self.state, last, self._genesis.params)
        except Refused as error:
            log.warning("proposal at height %d refused: %s", block.header.height, error)
            return False
        request = RequestProcessProposal(
            txs=block.txs,
            proposed_last_commit=commit_info(last),
            hash=block_hash,
            height=block.header.height,
            time_ns=block.header.time_ns,
            proposer_address=block.header.proposer_address,
            next_validators_hash=block.header.next_validators_hash,
        )
        return self._application.process_proposal(request).accepted

    def _commit(self, decision: Decision) -> None:
        """Finalize, save, commit: a crash between any two of them is mended by the handshake."""
        state, block = self.state, decision.block
        request = finalize_request(block, decision.block_id.hash, self._standing.last)
        results = self._application.finalize_block(request)
        after = state_after(state, block, decision.block_id, results)
        committed = CommittedBlock(block, decision.block_id, decision.commit, state.validators, results, after)
        self._sink.save(committed)
        self._application.commit(RequestCommit())
        changed = after.app_hash != state.app_hash
        self._standing = Standing(after, (decision.commit, state.validators), proof_block_due=changed)
        self._transactions.update(block.header.height, block.txs[1:])
        if self._on_commit is not None:
            self._on_commit(committed)
