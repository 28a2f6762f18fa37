"""`dccn node run`: one process with application, engine, mempool, block store and RPC, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from socket import socket

from chain.application.abci import ValidatorUpdate
from chain.application.app import Application
from chain.application.store import StateStore
from chain.engines.embedded import EmbeddedEngine, EngineSettings
from chain.engines.handshake import EngineGenesis
from chain.engines.pace import Pace
from chain.errors import Faulty
from chain.node import home as node_home
from chain.node.block_store import BlockStore
from chain.node.cometbft import CometNode, running_cometbft
from chain.node.halting import until_one_ends
from chain.node.home import Home
from chain.node.lock import locked
from chain.node.measured import MeasuredApplication
from chain.node.mempool import Mempool, MempoolLimits
from chain.node.metrics import NodeMetrics
from chain.node.rpc import RpcLimits, rpc_application
from chain.node.rpc_methods import NodeIdentity, RpcMethods
from chain.node.rpc_server import RpcServer, bind_again
from chain.web.listening import bind, url_of

EMBEDDED = "embedded: one machine, no fault tolerance"
CLOCK_TOLERANCE_NS = 60 * 10**9
SIGNATURE_THREADS = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunningNode:
    """A node that makes blocks and whose RPC answers; everything in it belongs to its event loop."""

    rpc_url: str
    engine: EmbeddedEngine
    application: Application
    blocks: BlockStore
    _tasks: tuple[asyncio.Task[None], ...]

    async def halted(self) -> None:
        """Returns never; raises DccnError with the reason when the node must halt."""
        await until_one_ends(self._tasks)


def run(
    path: Path,
    *,
    json_output: bool = False,
    engine: str | None = None,
    listen: str | None = None,
    port: int | None = None,
) -> None:
    """Runs the node of a home until SIGTERM or SIGINT, then stops it in order.

    `engine`, `listen` and `port` go before what the home's settings say.

    With `json_output`, stdout gets one line `{"event":"ready","rpc":"http://…"}` when RPC answers. Raises DccnError
    when the node cannot start or must halt.
    """
    home = node_home.load(path)
    if listen is not None:
        rpc = replace(home.settings.rpc, host=listen)
        home = replace(home, settings=replace(home.settings, rpc=rpc))
    if engine is not None:
        home = replace(home, settings=replace(home.settings, engine=engine))
    with locked(path):
        asyncio.run(_until_signalled(home, json_output=json_output, port=port))


@contextlib.asynccontextmanager
async def running(
    home: Home, *, port: int | None = None, now_ns: Callable[[], int] = time.time_ns
) -> AsyncIterator[RunningNode]:
    """Starts a node and, on leaving, stops it in order. Whoever calls holds the home's lock.

    Raises DccnError for a home, store, clock or port that is not fit.
    """
    with contextlib.ExitStack() as opened:
        rpc_settings = home.settings.rpc
        listening = opened.enter_context(_listening(home, port))
        store = opened.enter_context(contextlib.closing(StateStore(home.data / "state")))
        blocks = opened.enter_context(contextlib.closing(BlockStore(home.data / "blocks")))
        check_clock(home, blocks, now_ns())
        metrics = NodeMetrics(home.path)
        metrics.is_node(home.genesis.chain_id, "embedded", home.settings.moniker)
        opened.enter_context(metrics.served(home.settings.metrics.host, home.settings.metrics.port))
        application = MeasuredApplication(
            metrics,
            store,
            vrf_keys={keys.validator_address: keys.vrf_secret for keys in home.operators},
            kept_heights=home.settings.storage.history_heights,
            executor=opened.enter_context(ThreadPoolExecutor(SIGNATURE_THREADS, "signatures")),
        )
        mempool = Mempool(application.check_tx, _mempool_limits(home))
        engine = opened.enter_context(contextlib.closing(_engine(home, application, blocks, mempool, now_ns)))
        methods = RpcMethods(
            application=application,
            blocks=blocks,
            mempool=mempool,
            genesis=home.document,
            identity=_identity(home, listening),
        )
        limits = RpcLimits(rpc_settings.max_open_connections, rpc_settings.max_body_bytes)
        async with _serving(engine, RpcServer(rpc_application(methods.routes(), limits), limits), listening) as tasks:
            yield RunningNode(url_of(listening), engine, application, blocks, tasks)


def check_clock(home: Home, blocks: BlockStore, now_ns: int) -> None:
    """Raises Faulty `clock_off` if this machine's time is before the chain's: its votes could not be ordered."""
    newest = blocks.block(blocks.height) if blocks.height else None
    chain_ns = newest.header.time_ns if newest else home.genesis.time_ns
    if now_ns < chain_ns - CLOCK_TOLERANCE_NS:
        behind_s = (chain_ns - now_ns) // 10**9
        what = f"block {newest.header.height}" if newest else "the genesis"
        raise Faulty("clock_off", f"this machine's clock is {behind_s} s before the time of {what}")


def engine_genesis(home: Home) -> EngineGenesis:
    """What the engine begins with, out of the genesis document."""
    return EngineGenesis(
        chain_id=home.genesis.chain_id,
        time_ns=home.genesis.time_ns,
        validators=tuple(ValidatorUpdate(public, power) for public, power in home.genesis.validators()),
        app_state_bytes=json.dumps(home.document["app_state"]).encode(),
        params=home.consensus_params,
    )


async def _until_signalled(home: Home, *, json_output: bool, port: int | None) -> None:
    """A signal also ends a node that is still starting."""
    living = asyncio.create_task(_live(home, json_output=json_output, port=port))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, living.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await living


async def _live(home: Home, *, json_output: bool, port: int | None) -> None:
    starting: contextlib.AbstractAsyncContextManager[RunningNode | CometNode] = (
        running_cometbft(home, port=port) if home.settings.engine == "cometbft" else running(home, port=port)
    )
    async with starting as node:
        log.info("RPC at %s, chain %s, height %d", node.rpc_url, home.genesis.chain_id, node.application.height)
        if json_output:
            print(json.dumps({"event": "ready", "rpc": node.rpc_url}), flush=True)
        await node.halted()


@contextlib.asynccontextmanager
async def _serving(
    engine: EmbeddedEngine, rpc: RpcServer, listening: socket
) -> AsyncIterator[tuple[asyncio.Task[None], ...]]:
    """Engine and RPC as tasks, from the moment RPC answers; RPC ends first, so that nobody sees a half-closed node."""
    serving = asyncio.create_task(rpc.serve(sockets=[listening]))
    ready = asyncio.create_task(rpc.up.wait())
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    making = asyncio.create_task(engine.run())
    try:
        yield making, serving
    finally:
        rpc.stop()
        await asyncio.wait({serving})
        making.cancel()
        await asyncio.wait({making})


def _engine(
    home: Home, application: Application, blocks: BlockStore, mempool: Mempool, now_ns: Callable[[], int]
) -> EmbeddedEngine:
    parameters = home.genesis.parameters
    pace = Pace(parameters.block_interval_ms, parameters.empty_block_interval_ms)
    keys = [operator.consensus for operator in home.operators]
    settings = EngineSettings(home.data / "consensus", pace)
    return EmbeddedEngine(application, engine_genesis(home), keys, blocks, mempool, settings, now_ns=now_ns)


def _listening(home: Home, port: int | None) -> socket:
    rpc = home.settings.rpc
    if rpc.port_may_move and port is None:
        return bind_again(rpc.host, rpc.port, node_home.rpc_port_file(home))
    return bind(rpc.host, rpc.port if port is None else port, may_move=rpc.port_may_move)


def _mempool_limits(home: Home) -> MempoolLimits:
    given = home.settings.mempool
    return MempoolLimits(given.size, given.max_txs_bytes, given.max_tx_bytes, given.cache_size)


def _identity(home: Home, listening: socket) -> NodeIdentity:
    first = home.operators[0] if home.operators else None
    return NodeIdentity(
        moniker=home.settings.moniker,
        chain_id=home.genesis.chain_id,
        node_id=first.validator_address.hex() if first else "",
        rpc_address=url_of(listening).replace("http://", "tcp://"),
        engine=EMBEDDED,
        public=first.consensus.public.x if first else None,
    )
