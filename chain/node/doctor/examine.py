"""The whole examination of one home."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from chain.light.rpc import RpcClient
from chain.node import home as node_home
from chain.node.doctor.checks import clock, disk, keys, peers, ports, store, versions
from chain.node.doctor.patient import Finding, Patient
from chain.node.lock import holder

CHECKS: dict[str, Callable[[Patient], list[Finding]]] = {
    "versions": versions.check,
    "disk": disk.check,
    "store": store.check,
    "keys": keys.check,
    "clock": clock.check,
    "ports": ports.check,
    "peers": peers.check,
}


def examine(path: Path, now_ns: int) -> Iterator[tuple[str, Finding]]:
    """Every check's findings, as they come; raises Faulty `home_invalid` for a home that cannot be read at all."""
    home = node_home.load(path)
    with closing(RpcClient(node_home.rpc_url(home))) as rpc:
        patient = Patient(home, rpc, holder(path), now_ns)
        for name, check in CHECKS.items():
            for finding in check(patient):
                yield name, finding
