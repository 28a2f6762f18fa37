"""A node behind CometBFT: the application on its socket, CometBFT as a child, whose RPC is the node's RPC."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from chain.application.app import Application
from chain.application.restore import Restore
from chain.application.snapshots import Snapshots
from chain.application.store import StateStore
from chain.engines.cometbft import binary, torn_statesync
from chain.engines.cometbft.configuration import CometConfiguration, prepare
from chain.engines.cometbft.server import AbciServer
from chain.engines.cometbft.supervisor import RestartPolicy, Supervisor
from chain.errors import Faulty, Unavailable
from chain.ledger.genesis import genesis_hash
from chain.light.rpc import RpcClient
from chain.node.halting import until_one_ends
from chain.node.home import Home
from chain.node.measured import MeasuredApplication
from chain.node.metrics import NodeMetrics
from chain.node.settings import MetricsSettings
from chain.web.listening import bind
from chain.wire import cbor

CLOCK_TOLERANCE_NS = 60 * 10**9
SIGNATURE_THREADS = 2
ASK_EVERY_S = 0.1
RPC_TIMEOUT_S = 5.0
LOOK_AT_RULES_EVERY_S = 1.0
HALT_AFTER_S = 10.0
# Linux takes 107 bytes for the path of a unix socket.
SOCKET_PATH_MAX = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CometNode:
    """A node whose CometBFT answers; everything of ours in it belongs to its event loop."""

    rpc_url: str
    node_id: str
    peer_address: str
    application: Application
    supervisor: Supervisor
    _tasks: tuple[asyncio.Task[None], ...]

    async def halted(self) -> None:
        """Returns never; raises DccnError with the reason when the node must halt."""
        await until_one_ends(self._tasks)


@contextlib.asynccontextmanager
async def running_cometbft(
    home: Home,
    *,
    port: int | None = None,
    now_ns: Callable[[], int] = time.time_ns,
    policy: RestartPolicy | None = None,
) -> AsyncIterator[CometNode]:
    """Starts application and CometBFT and, on leaving, stops CometBFT first. Whoever calls holds the home's lock.

    Raises DccnError for a home, store, clock, binary or port that is not fit.
    """
    program = binary.find(home.settings.cometbft.binary)
    folder = home.path / "cometbft"
    with contextlib.ExitStack() as opened:
        # Closed after the store, whose end ends a snapshot that is being written.
        snapshots = Snapshots(home.data / "snapshots", home.settings.storage.snapshot_interval)
        opened.enter_context(contextlib.closing(snapshots))
        store = opened.enter_context(contextlib.closing(StateStore(home.data / "state")))
        _check_clock(max(store.time_ns, home.genesis.time_ns), now_ns())
        metrics = NodeMetrics(home.path)
        metrics.is_node(home.genesis.chain_id, "cometbft", home.settings.moniker)
        opened.enter_context(metrics.served(home.settings.metrics.host, home.settings.metrics.port))
        application = MeasuredApplication(
            metrics,
            store,
            vrf_keys={keys.validator_address: keys.vrf_secret for keys in home.operators},
            kept_heights=home.settings.storage.history_heights,
            executor=opened.enter_context(ThreadPoolExecutor(SIGNATURE_THREADS, "signatures")),
            retained_blocks=home.settings.storage.retained_blocks,
            snapshots=snapshots,
            restore=Restore(store, home.data / "restore", _chain(home)),
        )
        configuration = _configuration(home, folder, opened, port)
        node_id = prepare(configuration)
        server = AbciServer(application)
        await server.start(configuration.abci_socket)
        command = [str(program), "start", "--home", str(folder)]
        engine_log = folder / "cometbft.log"

        def died() -> None:
            metrics.engine_deaths.inc()
            if torn_statesync.was_torn(engine_log):
                torn_statesync.begin_anew(program, folder)

        supervisor = Supervisor(command, engine_log, policy, on_death=died)
        tasks = (
            asyncio.create_task(supervisor.run()),
            asyncio.create_task(server.failed()),
            asyncio.create_task(_until_rules_are_unknown(application)),
        )
        try:
            rpc_url = _url(configuration.rpc_host, configuration.rpc_port)
            await _answering(rpc_url, tasks)
            peers = configuration.peers
            peer_address = f"{node_id}@{peers.external_address or f'{peers.host}:{peers.port}'}"
            yield CometNode(rpc_url, node_id, peer_address, application, supervisor, tasks)
        finally:
            tasks[0].cancel()
            await asyncio.wait({tasks[0]})
            await server.close()
            for task in tasks[1:]:
                task.cancel()
            await asyncio.wait(tasks[1:])


async def _until_rules_are_unknown(application: Application) -> None:
    """Returns never; raises when the next block's rules are those of a later program.

    The engine asks about that block only while two thirds of the power still run: when the first to be asked have
    halted, the others would wait in silence. The delay lets the votes for the last block reach everybody.
    """
    while True:
        try:
            application.know_next_rules()
        except Faulty:
            await asyncio.sleep(HALT_AFTER_S)
            application.know_next_rules()
        await asyncio.sleep(LOOK_AT_RULES_EVERY_S)


def _configuration(home: Home, folder: Path, opened: contextlib.ExitStack, port: int | None) -> CometConfiguration:
    settings, parameters = home.settings, home.genesis.parameters
    if len(home.operators) > 1:
        names = ", ".join(operator.name for operator in home.operators)
        raise Faulty("home_invalid", f"CometBFT signs with one key, and {home.path} holds several: {names}")
    keys = [home.path / "config" / "operators" / each.name / "priv_validator_key.json" for each in home.operators]
    wanted = settings.rpc.port if port is None else port
    return CometConfiguration(
        folder=folder.absolute(),
        moniker=settings.moniker,
        abci_socket=_socket_path(folder, opened),
        genesis=(home.path / "config" / "genesis.json").absolute(),
        consensus_key=keys[0].absolute() if keys else None,
        rpc_host=settings.rpc.host,
        rpc_port=_free_port(settings.rpc.host, wanted, may_move=settings.rpc.port_may_move),
        rpc_max_connections=settings.rpc.max_open_connections,
        rpc_max_body_bytes=settings.rpc.max_body_bytes,
        peers=replace(settings.p2p, port=_free_port(settings.p2p.host, settings.p2p.port, may_move=False)),
        block_interval_ms=parameters.block_interval_ms,
        empty_block_interval_ms=parameters.empty_block_interval_ms,
        mempool_size=settings.mempool.size,
        mempool_max_txs_bytes=settings.mempool.max_txs_bytes,
        mempool_max_tx_bytes=settings.mempool.max_tx_bytes,
        mempool_cache_size=settings.mempool.cache_size,
        statesync=settings.statesync,
        log_level=settings.cometbft.log_level,
        log_format=settings.cometbft.log_format,
        metrics=_metrics_listener(settings.metrics),
    )


def _metrics_listener(metrics: MetricsSettings) -> str:
    """Where CometBFT serves its own; empty for nowhere."""
    host = f"[{metrics.host}]" if ":" in metrics.host else metrics.host
    return f"{host}:{metrics.cometbft_port}" if metrics.cometbft_port else ""


def _chain(home: Home) -> bytes:
    """The only chain of which a snapshot is taken in."""
    return cbor.encode([home.genesis.chain_id, genesis_hash(home.document)])


def _socket_path(folder: Path, opened: contextlib.ExitStack) -> Path:
    """In CometBFT's folder, or in a private temporary one if that path is too long for the kernel."""
    path = folder.absolute() / "abci.sock"
    if len(bytes(path)) <= SOCKET_PATH_MAX:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path
    return Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="dccn-"))) / "abci.sock"


def _free_port(host: str, port: int, *, may_move: bool) -> int:
    """The port, if nobody listens there; 0 takes a free one. CometBFT binds it a moment later."""
    with contextlib.closing(bind(host, port, may_move=may_move)) as bound:
        found: int = bound.getsockname()[1]
        return found


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _answering(rpc_url: str, tasks: tuple[asyncio.Task[None], ...]) -> None:
    """Returns when CometBFT's RPC answers; raises what ended a part of the node before that."""
    client = RpcClient(rpc_url, RPC_TIMEOUT_S)
    try:
        while True:
            if any(task.done() for task in tasks):
                await until_one_ends(tasks)
            try:
                await asyncio.to_thread(client.status)
            except Unavailable:
                await asyncio.sleep(ASK_EVERY_S)
            else:
                return
    finally:
        client.close()


def _check_clock(chain_ns: int, now_ns: int) -> None:
    """Raises Faulty `clock_off` if this machine's time is before the chain's: its votes could not be ordered."""
    if now_ns < chain_ns - CLOCK_TOLERANCE_NS:
        behind_s = (chain_ns - now_ns) // 10**9
        raise Faulty("clock_off", f"this machine's clock is {behind_s} s before the time of the newest block")
