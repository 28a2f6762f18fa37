"""A chain small enough to be crashed a thousand times: an application, a block store and a disk that obey the test."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from chain.application.abci import (
    ExecTxResult,
    ProposalStatus,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInfo,
    RequestInitChain,
    RequestPrepareProposal,
    RequestProcessProposal,
    ResponseCommit,
    ResponseFinalizeBlock,
    ResponseInfo,
    ResponseInitChain,
    ResponsePrepareProposal,
    ResponseProcessProposal,
    ValidatorUpdate,
)
from chain.consensus.core import Core
from chain.consensus.messages import Effect, Input, ProposalReceived, Timeouts, VoteReceived
from chain.consensus.recovery import signed_place
from chain.crypto.keys import PrivateKey
from chain.engines.embedded import EmbeddedEngine, EngineSettings
from chain.engines.handshake import EngineGenesis
from chain.engines.pace import Pace
from chain.engines.ports import ChainState, CommittedBlock
from chain.wire.cometbft import ValidatorSet

GENESIS_NS = 1_700_000_000 * 10**9
KEYS = [PrivateKey.from_secret("ed25519", sha256(b"consensus %d" % i).digest()) for i in range(5)]
UPDATES = tuple(ValidatorUpdate(key.public.x, 1) for key in KEYS[:4])
GENESIS = EngineGenesis("small", GENESIS_NS, UPDATES, b"{}")
SWIFT = Pace(0, 0)
# Long enough that no timeout fires while nothing is wrong.
TIMEOUTS = Timeouts(propose_ms=20_000, prevote_ms=20_000, precommit_ms=20_000)


class Crash(Exception):
    """The power is gone."""


class Fuse:
    """Counts the moments at which a crash makes a difference, and blows at the chosen one."""

    def __init__(self, blow_at: int | None = None) -> None:
        self.count = 0
        self.blow_at = blow_at

    def moment(self) -> None:
        self.count += 1
        if self.count == self.blow_at:
            raise Crash(f"moment {self.count}")


class Disk:
    """fdatasync that remembers what is durable, and what a power cut leaves of the rest."""

    def __init__(self, fuse: Fuse, dice: random.Random) -> None:
        self.fuse = fuse
        self.dice = dice
        self._durable: dict[Path, bytes] = {}

    def sync(self, file: int) -> None:
        path = Path(f"/proc/self/fd/{file}").readlink()
        self.fuse.moment()
        self._durable[path] = path.read_bytes()
        self.fuse.moment()

    def power_cut(self, folder: Path) -> None:
        """Every file becomes what was synced, with a torn piece of what was written since."""
        for path in folder.iterdir():
            now, durable = path.read_bytes(), self._durable.get(path, b"")
            if now == durable:
                continue
            same = next((i for i, (a, b) in enumerate(zip(now, durable, strict=False)) if a != b), 0)
            same = same or min(len(now), len(durable))
            kept = now[: self.dice.randint(same, len(now))]
            left = kept + durable[len(kept) :] if self.dice.random() < 0.5 else kept
            path.write_bytes(left)
            self._durable[path] = left


class SmallApplication:
    """Remembers every transaction; its app hash changes with them alone. `invalid` ones get a block refused."""

    def __init__(self, fuse: Fuse | None = None) -> None:
        self.fuse = fuse or Fuse()
        self.height = 0
        self.app_hash = b""
        self.begun = 0
        self.finalized: list[RequestFinalizeBlock] = []
        self.processed: list[bytes] = []
        self._staged: tuple[int, bytes] | None = None

    def info(self, request: RequestInfo) -> ResponseInfo:
        return ResponseInfo("small", "1", 1, self.height, self.app_hash)

    def init_chain(self, request: RequestInitChain) -> ResponseInitChain:
        self.begun += 1
        self.app_hash = sha256(request.app_state_bytes).digest()
        return ResponseInitChain(self.app_hash, request.validators)

    def prepare_proposal(self, request: RequestPrepareProposal) -> ResponsePrepareProposal:
        return ResponsePrepareProposal((b"beacon %d" % request.height, *request.txs))

    def process_proposal(self, request: RequestProcessProposal) -> ResponseProcessProposal:
        self.processed.append(request.hash)
        good = b"invalid" not in request.txs
        return ResponseProcessProposal(ProposalStatus.ACCEPT if good else ProposalStatus.REJECT)

    def finalize_block(self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock:
        assert request.height == self.height + 1
        self.fuse.moment()
        self.finalized.append(request)
        others = request.txs[1:]
        app_hash = sha256(self.app_hash + b"".join(others)).digest() if others else self.app_hash
        self._staged = (request.height, app_hash)
        updates = tuple(_update(tx) for tx in others if tx.startswith(b"power "))
        return ResponseFinalizeBlock(app_hash, tuple(ExecTxResult() for _ in request.txs), (), updates)

    def commit(self, request: RequestCommit) -> ResponseCommit:
        self.fuse.moment()
        assert self._staged is not None
        self.height, self.app_hash = self._staged
        self._staged = None
        self.fuse.moment()
        return ResponseCommit()

    def beacon(self, height: int) -> bytes:
        assert height <= self.height
        return sha256(b"beacon %d" % max(height, 0)).digest()


def set_power(key: PrivateKey, power: int) -> bytes:
    """A transaction that changes a validator's power."""
    return b"power %d %s" % (power, key.public.x.hex().encode())


def _update(tx: bytes) -> ValidatorUpdate:
    _, power, public = tx.split()
    return ValidatorUpdate(bytes.fromhex(public.decode()), int(power))


class SmallStore:
    """Blocks in memory, durable in the eyes of the test."""

    def __init__(self, fuse: Fuse | None = None) -> None:
        self.fuse = fuse or Fuse()
        self.blocks: list[CommittedBlock] = []

    def save(self, committed: CommittedBlock) -> None:
        self.fuse.moment()
        ChainState.decode(committed.state.encode())
        self.blocks.append(committed)
        self.fuse.moment()

    def last(self) -> CommittedBlock | None:
        return self.blocks[-1] if self.blocks else None

    def validators(self, height: int) -> ValidatorSet | None:
        return self.blocks[height - 1].validators if 0 < height <= len(self.blocks) else None


class SmallMempool:
    """Transactions in the order given."""

    def __init__(self, *txs: bytes) -> None:
        self.available = asyncio.Event()
        self.waiting: list[bytes] = []
        self.updates: list[int] = []
        for tx in txs:
            self.add(tx)

    def add(self, tx: bytes) -> None:
        self.waiting.append(tx)
        self.available.set()

    def reap(self, max_bytes: int) -> Sequence[bytes]:
        return tuple(self.waiting)

    def update(self, height: int, included: Sequence[bytes]) -> None:
        self.updates.append(height)
        self.waiting = [tx for tx in self.waiting if tx not in included]
        if not self.waiting:
            self.available.clear()


class Witness:
    """Hears everything that any core was told, over all restarts, and finds what contradicts."""

    def __init__(self) -> None:
        self.heard: dict[tuple[bytes, int, int, int], bytes] = {}
        self.contradictions: list[tuple[bytes, int, int, int]] = []

    def core_class(self) -> type[Core]:
        """A `Core` that reports to this witness."""
        witness = self

        class OverheardCore(Core):
            def step(self, event: Input) -> list[Effect]:
                witness.note(event)
                return super().step(event)

        return OverheardCore

    def note(self, event: Input) -> None:
        if isinstance(event, VoteReceived | ProposalReceived):
            who = event.vote.validator if isinstance(event, VoteReceived) else event.proposal.proposer
            place = signed_place(event)
            at = (who, place.height, place.round, place.step)
            if self.heard.setdefault(at, place.content) != place.content:
                self.contradictions.append(at)


def new_engine(
    folder: Path,
    application: SmallApplication,
    store: SmallStore,
    mempool: SmallMempool | None = None,
    *,
    pace: Pace = SWIFT,
    keys: Sequence[PrivateKey] = tuple(KEYS),
    sync: Callable[[int], None] = lambda file: None,
    now_ns: Callable[[], int] | None = None,
) -> EmbeddedEngine:
    return EmbeddedEngine(
        application,
        GENESIS,
        keys,
        store,
        mempool or SmallMempool(),
        EngineSettings(folder, pace, TIMEOUTS),
        sync=sync,
        now_ns=now_ns or (lambda: GENESIS_NS + 10**9 * (application.height + 1)),
    )


async def run_to(engine: EmbeddedEngine, height: int) -> None:
    """Runs an engine until a height is committed; raises what it raises."""
    running = asyncio.create_task(engine.run())
    reached = asyncio.create_task(engine.wait_for_height(height))
    try:
        await asyncio.wait({running, reached}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        await reached
    finally:
        running.cancel()
        reached.cancel()
        await asyncio.gather(running, reached, return_exceptions=True)
        engine.close()
