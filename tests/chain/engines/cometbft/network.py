"""A real network on loopback: one `dccn node run` with its own CometBFT per operator, each in its own home."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from chain.crypto import vrf
from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.engines.cometbft.configuration import PeerSettings, node_id
from chain.errors import DccnError
from chain.ledger.genesis import build_demo_app_state
from chain.ledger.parameters import Parameters
from chain.light.rpc import RpcClient
from chain.node import home as node_home
from chain.node.home import NETWORK_POWER
from chain.node.keys import OperatorKeys
from chain.node.settings import RpcSettings, Settings, StorageSettings
from chain.wire.transactions import ANKR, sign, transfer

CHAIN_ID = "net"
HUB = PrivateKey.from_secret("ed25519", bytes(range(32)))
BRISK = Parameters(block_interval_ms=150, empty_block_interval_ms=150, validator_power=NETWORK_POWER)
START_TIMEOUT_S = 90.0
_RUN = """
import sys
from pathlib import Path
from chain.errors import DccnError
from chain.node import server
try:
    server.run(Path(sys.argv[1]), json_output=True)
except DccnError as error:
    sys.exit(f"halted: {error}")
"""


T = TypeVar("T")


@dataclass
class NodeProcess:
    """One node of the network, running or not."""

    home: Path
    rpc: RpcClient
    validator: bytes
    process: subprocess.Popen[bytes] | None = None

    def engine_pid(self) -> int:
        """The CometBFT of this node: its process's only child."""
        assert self.process is not None
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@dataclass
class Network:
    """Nodes that know each other's addresses; use as a context manager, which kills what is left.

    `fault` is a program that runs in every node's process before the node: it is how a test makes the ledger misbehave.
    """

    folder: Path
    size: int = 4
    parameters: Parameters = BRISK
    fault: str = ""
    storage: StorageSettings = StorageSettings()  # noqa: RUF009  # frozen
    nodes: list[NodeProcess] = field(default_factory=list)
    _opened: ExitStack = field(default_factory=ExitStack)
    _nonce: int = 0

    def __enter__(self) -> Network:
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        operators = [OperatorKeys.generate(f"seed-{number}") for number in range(self.size)]
        rows = [
            (each.name, each.account.public, each.consensus.public.x, vrf.public_key(each.vrf_secret))
            for each in operators
        ]
        app_state = build_demo_app_state(address(HUB.public), rows, self.parameters)
        ports = free_ports(2 * self.size)
        homes = [self.folder / f"n{number}" for number in range(self.size)]
        everybody = [
            f"{node_id(home / 'cometbft')}@{self.peer_host(number)}:{port}"
            for number, (home, port) in enumerate(zip(homes, ports[: self.size], strict=True))
        ]
        now_ns = time.time_ns()
        for number, (home, operator) in enumerate(zip(homes, operators, strict=True)):
            others = ",".join(each for each in everybody if each != everybody[number])
            settings = replace(
                Settings(),
                moniker=operator.name,
                engine="cometbft",
                rpc=RpcSettings(host=self.rpc_host(number), port=ports[self.size + number]),
                p2p=PeerSettings(host=self.peer_host(number), port=ports[number], persistent_peers=others, pex=False),
                storage=self.storage,
            )
            node_home.init(
                home,
                chain_id=CHAIN_ID,
                genesis_time_ns=now_ns,
                app_state=app_state,
                operators=[operator],
                settings=settings,
            )
            rpc = RpcClient(f"http://{settings.rpc.host}:{settings.rpc.port}")
            self._opened.enter_context(closing(rpc))
            self.nodes.append(NodeProcess(home, rpc, operator.validator_address))
        for node in self.nodes:
            self.start(node)
        for node in self.nodes:
            wait_for(partial(_is_at, node, 2), START_TIMEOUT_S)

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.terminate()
        for node in self.nodes:
            if node.process is not None:
                try:
                    node.process.wait(20)
                except subprocess.TimeoutExpired:
                    node.process.kill()
                    node.process.wait()
        self._opened.close()

    def add(self, home: Path, rpc_port: int) -> NodeProcess:
        """Starts one more node, whose home was made already."""
        rpc = RpcClient(f"http://127.0.0.1:{rpc_port}")
        self._opened.enter_context(closing(rpc))
        node = NodeProcess(home, rpc, b"")
        self.nodes.append(node)
        self.start(node)
        return node

    def start(self, node: NodeProcess) -> None:
        log: IO[bytes] = self._opened.enter_context((node.home / "node.log").open("ab"))
        command = [*self.place(node), sys.executable, "-c", self.fault + _RUN, str(node.home)]
        node.process = subprocess.Popen(command, stdout=log, stderr=log)

    # Where the nodes live: all on loopback, unless a subclass gives each a place of its own.

    def peer_host(self, number: int) -> str:
        """The address at which peers meet node `number`."""
        return "127.0.0.1"

    def rpc_host(self, number: int) -> str:
        """The address at which the test asks node `number`."""
        return "127.0.0.1"

    def place(self, node: NodeProcess) -> list[str]:
        """The command that runs a command where this node lives."""
        return []

    def payment(self, to: bytes = bytes(20), amount: int = ANKR) -> bytes:
        """The hub's next transfer, of 1 ANKR if nothing else is said."""
        tx = sign(HUB, CHAIN_ID, transfer(to, amount), nonce=self._nonce, fee=5 * ANKR).encode()
        self._nonce += 1
        return tx

    def height(self) -> int:
        """The lowest newest height of the nodes that run."""
        return min(node.rpc.status().height for node in self.nodes if node.process is not None)

    def app_hashes(self, height: int) -> set[bytes]:
        """What the nodes say the app hash in the header of a height is."""
        return {node.rpc.signed_header(height).header.app_hash for node in self.nodes}


def _is_at(node: NodeProcess, height: int) -> bool:
    assert node.process is not None and node.process.poll() is None, (node.home / "node.log").read_text()
    return node.rpc.status().height >= height


def wait_for(condition: Callable[[], T], timeout_s: float = 60.0) -> T:
    """The first true value of a condition about other processes; asking is the only event they give."""
    deadline = time.monotonic() + timeout_s
    last: Any = None
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except DccnError as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout_s} s; last answer: {last}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
