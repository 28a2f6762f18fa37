"""The machine as a node of its own cluster: whether it takes work, and emptying it before it goes away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from appliance.agent.workloads.cluster import KUBECONFIG, NOT_FOUND, Cluster, Denied
from chain.errors import Unavailable

GRACE_S: Final = 30
"""How long a pod has for its farewell, unless its owner asked for less."""
POLL_S: Final = 0.5
NAMESPACE_ENDS: Final = "NamespaceTerminating"
"""Kubernetes' word for a namespace that is being deleted, with all its pods."""
FINISHED: Final = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a node says of itself; `reason` is Kubernetes' word for why it is not ready."""

    node: str
    is_ready: bool
    takes_work: bool
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Drained:
    """Pods as `namespace/name`: those that went, and those that were still there when the time was over."""

    gone: tuple[str, ...]
    left: tuple[str, ...]


def node_ready(cluster: Cluster | None = None, name: str = "") -> Readiness:
    """How the node is; with no name the only one of the cluster, which on an appliance is this machine.

    Raises Unavailable `cluster_unreachable` when nobody answers or there is no such node yet.
    """
    node = _node(cluster or Cluster(KUBECONFIG), name)
    condition = next((each for each in node.status.conditions or () if each.type == "Ready"), None)
    return Readiness(
        node=node.metadata.name,
        is_ready=condition is not None and condition.status == "True",
        takes_work=not node.spec.unschedulable,
        version=node.status.node_info.kubelet_version,
        reason=(condition.reason or "") if condition is not None else "NoCondition",
    )


def drain(
    cluster: Cluster,
    name: str = "",
    *,
    timeout_s: float,
    grace_s: int = GRACE_S,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> Drained:
    """Let no new work in and ask every pod to leave, as an update does before it reboots; then wait for them to go.

    A disruption budget that forbids an eviction is asked again until `timeout_s` is over. Pods of daemon sets and
    static pods belong to the machine and stay.
    """
    node = _node(cluster, name).metadata.name
    _mark(cluster, node, closed=True)
    deadline = clock() + timeout_s
    first = {_key(pod): pod for pod in _leaving(cluster, node)}
    asked: set[str] = set()
    left = dict(first)
    while left:
        for key, pod in left.items():
            if key not in asked and _evict(cluster, pod, grace_s):
                asked.add(key)
        if clock() >= deadline:
            break
        wait(POLL_S)
        left = {_key(pod): pod for pod in _leaving(cluster, node)}
        first |= left
    return Drained(tuple(sorted(first.keys() - left.keys())), tuple(sorted(left)))


def reopen(cluster: Cluster, name: str = "") -> None:
    """Let work in again: after a reboot, or when the update that the node was emptied for did not come about."""
    _mark(cluster, _node(cluster, name).metadata.name, closed=False)


def _node(cluster: Cluster, name: str) -> Any:
    if name:
        node = cluster.find(f"reading node {name}", cluster.core.read_node, name)
        if node is None:
            raise Unavailable("cluster_unreachable", f"there is no node {name}")
        return node
    nodes = cluster.ask("reading the nodes", cluster.core.list_node).items
    if len(nodes) != 1:
        names = ", ".join(node.metadata.name for node in nodes) or "none"
        raise Unavailable("cluster_unreachable", f"one node was expected; there are: {names}")
    return nodes[0]


def _mark(cluster: Cluster, node: str, *, closed: bool) -> None:
    change = {"spec": {"unschedulable": closed or None}}
    cluster.ask(f"{'closing' if closed else 'opening'} node {node}", cluster.core.patch_node, node, change)


def _leaving(cluster: Cluster, node: str) -> list[Any]:
    """The pods of the node that have to go."""
    pods = cluster.ask(
        f"reading the pods of {node}",
        cluster.core.list_pod_for_all_namespaces,
        field_selector=f"spec.nodeName={node}",
    ).items
    return [pod for pod in pods if not _stays(pod)]


def _stays(pod: Any) -> bool:
    owners = pod.metadata.owner_references or ()
    is_static = "kubernetes.io/config.mirror" in (pod.metadata.annotations or {})
    return is_static or pod.status.phase in FINISHED or any(owner.kind == "DaemonSet" for owner in owners)


def _evict(cluster: Cluster, pod: Any, grace_s: int) -> bool:
    """Whether the pod is on its way; False when a disruption budget says "not now"."""
    if pod.metadata.deletion_timestamp is not None:
        return True
    wanted = pod.spec.termination_grace_period_seconds
    seconds = grace_s if wanted is None else min(wanted, grace_s)
    metadata = {"name": pod.metadata.name, "namespace": pod.metadata.namespace}
    eviction = {"metadata": metadata, "deleteOptions": {"gracePeriodSeconds": seconds}}
    evict = cluster.core.create_namespaced_pod_eviction
    try:
        cluster.ask(f"evicting {_key(pod)}", evict, pod.metadata.name, pod.metadata.namespace, eviction)
    except Denied as error:
        if error.status != NOT_FOUND and NAMESPACE_ENDS not in error.causes:
            raise
    except Unavailable:
        return False
    return True


def _key(pod: Any) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"
