"""Four nodes of one kind on loopback, each CometBFT with the very settings that `dccn node run` gives it."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.engines.cometbft import binary
from chain.engines.cometbft.configuration import CometConfiguration, PeerSettings, node_id, prepare
from chain.errors import DccnError, Faulty
from chain.ledger.genesis import build_demo_app_state
from chain.ledger.parameters import Parameters
from chain.lifeline import spawn, stop
from chain.light.rpc import RpcClient
from chain.node import home as node_home
from chain.node.home import NETWORK_POWER, operators_path
from chain.node.keys import OperatorKeys
from chain.node.settings import MempoolSettings, RpcSettings, Settings
from chain.wire.amounts import ANKR

KINDS = ("ours", "kvstore", "noop")
NODES = 4
UP_WITHIN_S = 60.0
MEMPOOL = MempoolSettings(size=20_000, cache_size=100_000)
PARAMETERS = Parameters(validator_power=NETWORK_POWER)  # production's: a block a second


class FourNodes:
    """Use it as a context manager; `urls` are the nodes' RPC addresses, `senders` accounts that have money."""

    def __init__(self, folder: Path, kind: str, senders: int) -> None:
        self.senders = [PrivateKey.from_secret("ed25519", _secret(f"sender {number}")) for number in range(senders)]
        self.chain_id = "bench"
        self._folder = folder
        self._kind = kind
        self._processes: list[subprocess.Popen[bytes]] = []
        ports = _free_ports(2 * NODES)
        self._p2p, self._rpc = ports[:NODES], ports[NODES:]
        self.urls = [f"http://127.0.0.1:{port}" for port in self._rpc]

    def __enter__(self) -> FourNodes:
        try:
            homes = self._homes()
            for number, home in enumerate(homes):
                self._processes += self._start(home, self._rpc[number])
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            stop(process, 10)

    def _homes(self) -> list[Path]:
        operators = [OperatorKeys.generate(f"seed-{number}") for number in range(NODES)]
        rows = [(each.name, each.account.public, *each.pair) for each in operators]
        grants = [(address(sender.public), 10_000 * ANKR) for sender in self.senders]
        app_state = build_demo_app_state(address(self.senders[0].public), rows, PARAMETERS, grants)
        homes = [self._folder / f"n{number}" for number in range(NODES)]
        peers = [f"{node_id(home / 'cometbft')}@127.0.0.1:{port}" for home, port in zip(homes, self._p2p, strict=True)]
        now_ns = time.time_ns()
        for number, (home, operator) in enumerate(zip(homes, operators, strict=True)):
            others = ",".join(peer for peer in peers if peer != peers[number])
            settings = replace(
                Settings(),
                engine="cometbft",
                rpc=RpcSettings(port=self._rpc[number], max_body_bytes=10_000_000),
                p2p=PeerSettings(port=self._p2p[number], persistent_peers=others, pex=False),
                mempool=MEMPOOL,
            )
            node_home.init(
                home,
                chain_id=self.chain_id,
                genesis_time_ns=now_ns,
                app_state=app_state,
                operators=[operator],
                settings=settings,
            )
        return homes

    def _start(self, path: Path, rpc_port: int) -> list[subprocess.Popen[bytes]]:
        log = (path / "bench.log").open("ab")
        if self._kind == "ours":
            command = [sys.executable, "-m", "dccn", "node", "run", "--home", str(path)]
            return [spawn(command, stdout=log, stderr=log)]
        configuration = self._configuration(path, rpc_port)
        prepare(configuration)
        engine = [str(binary.find()), "start", "--home", str(path / "cometbft")]
        if self._kind == "kvstore":
            return [spawn([*engine, "--proxy_app", "kvstore"], stdout=log, stderr=log)]
        command = [sys.executable, "-m", "tools.bench.network.noop", str(configuration.abci_socket)]
        application = spawn(command, stdout=log, stderr=log)
        while not configuration.abci_socket.exists():
            time.sleep(0.05)
        return [application, spawn(engine, stdout=log, stderr=log)]

    def _configuration(self, path: Path, rpc_port: int) -> CometConfiguration:
        """The same as `dccn node run` makes of the home's settings."""
        home = node_home.load(path)
        settings, folder = home.settings, path / "cometbft"
        return CometConfiguration(
            folder=folder,
            moniker=settings.moniker,
            abci_socket=folder / "abci.sock",
            genesis=_without_app_state(path),
            consensus_key=operators_path(path) / home.operators[0].name / "priv_validator_key.json",
            rpc_host=settings.rpc.host,
            rpc_port=rpc_port,
            rpc_max_connections=settings.rpc.max_open_connections,
            rpc_max_body_bytes=settings.rpc.max_body_bytes,
            peers=settings.p2p,
            block_interval_ms=PARAMETERS.block_interval_ms,
            empty_block_interval_ms=PARAMETERS.empty_block_interval_ms,
            mempool_size=settings.mempool.size,
            mempool_max_txs_bytes=settings.mempool.max_txs_bytes,
            mempool_max_tx_bytes=settings.mempool.max_tx_bytes,
            mempool_cache_size=settings.mempool.cache_size,
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + UP_WITHIN_S
        for url in self.urls:
            client = RpcClient(url)
            while not _is_up(client):
                if time.monotonic() > deadline or any(process.poll() is not None for process in self._processes):
                    raise Faulty("check_failed", f"{self._kind}: {url} does not come up; see {self._folder}/n*/")
                time.sleep(0.2)
            client.close()


def _is_up(client: RpcClient) -> bool:
    try:
        return client.status().height >= 2
    except DccnError:
        return False


def _without_app_state(path: Path) -> Path:
    """The genesis for those that know nothing of ours."""
    source, target = path / "config" / "genesis.json", path / "config" / "genesis-bare.json"
    document: dict[str, Any] = json.loads(source.read_text())
    target.write_text(json.dumps({**document, "app_state": {}}))
    return target


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _secret(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
