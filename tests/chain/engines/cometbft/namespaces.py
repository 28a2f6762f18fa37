"""A network whose nodes live in network namespaces of their own, joined by a bridge that a test can cut.

Every node has two cables: one to the bridge, over which peers meet, and one to the test, over which it asks. Cutting
the network plugs some of the first kind into a second bridge. Needs root and iproute2.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from chain.node import home as node_home
from tests.chain.engines.cometbft.network import Network, NodeProcess

# Of 15 bytes that Linux takes for the name of a link.
PREFIX = "dccn-test-"
# Documentation addresses (RFC 5737), which no network that this machine is part of uses.
PEERS = "198.51.100"
TESTS = "203.0.113"
REACH_S = 2.0


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def why_not() -> str | None:
    """Why namespaces cannot be made here; None when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"{PREFIX}{os.getpid() % 256:02x}x"
    try:
        ip("netns", "add", name)
        ip("netns", "delete", name)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces cannot be made: {getattr(error, 'stderr', error)}"
    return None


@dataclass
class DividedNetwork(Network):
    """Use as a context manager, like Network; it takes its namespaces, bridges and cables away again."""

    _cables: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> DividedNetwork:
        try:
            self._build()
            super().__enter__()
        except BaseException:
            self._cables.close()
            raise
        return self

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self._cables.close()

    def cut_off(self, numbers: Iterable[int]) -> None:
        """These nodes hear each other and nobody else."""
        for number in numbers:
            ip("link", "set", self._name("p", number), "master", self._name("b", 1))

    def heal(self) -> None:
        for number in range(self.size):
            ip("link", "set", self._name("p", number), "master", self._name("b", 0))

    def reaches(self, number: int, other: int) -> bool:
        """Whether one node can open a connection to another one's peer port."""
        port = node_home.load(self.nodes[other].home).settings.p2p.port
        program = f"import socket; socket.create_connection(({self.peer_host(other)!r}, {port}), {REACH_S})"
        command = [*self.place(self.nodes[number]), sys.executable, "-c", program]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def peer_host(self, number: int) -> str:
        return f"{PEERS}.{number + 1}"

    def rpc_host(self, number: int) -> str:
        return f"{TESTS}.{4 * number + 2}"

    def place(self, node: NodeProcess) -> list[str]:
        return ["ip", "netns", "exec", self._name("n", self.nodes.index(node))]

    def _build(self) -> None:
        for number in (0, 1):
            bridge = self._name("b", number)
            ip("link", "add", bridge, "type", "bridge")
            self._cables.callback(_delete, "link", "delete", bridge)
            ip("link", "set", bridge, "up")
        for number in range(self.size):
            home = self._name("n", number)
            ip("netns", "add", home)
            self._cables.callback(_delete, "netns", "delete", home)
            ip("-n", home, "link", "set", "lo", "up")
            self._plug(number, "p", f"{self.peer_host(number)}/24")
            self._plug(number, "t", f"{self.rpc_host(number)}/30")
            ip("address", "add", f"{TESTS}.{4 * number + 1}/30", "dev", self._name("t", number))
        self.heal()

    def _plug(self, number: int, kind: str, address: str) -> None:
        """A cable whose inner end is `kind`0 in the node's namespace."""
        outer, inner, home = self._name(kind, number), f"{kind}0", self._name("n", number)
        ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", home)
        self._cables.callback(_delete, "link", "delete", outer)
        ip("-n", home, "address", "add", address, "dev", inner)
        ip("-n", home, "link", "set", inner, "up")
        ip("link", "set", outer, "up")

    def _name(self, kind: str, number: int) -> str:
        return f"{PREFIX}{os.getpid() % 256:02x}{kind}{number}"


def _delete(*words: str) -> None:
    """What is gone already, with its namespace, need not go again."""
    with suppress(subprocess.CalledProcessError):
        ip(*words)
