"""What leased pods used, for the records of work: the kubelet's own counters, never the workload's word."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from appliance.agent.events import Emit
from appliance.agent.workloads.cluster import KUBECONFIG, Cluster
from appliance.agent.workloads.deployment import LEASE
from appliance.agent.workloads.node import node_ready
from chain.errors import DccnError
from chain.proofs.records import LOADS_MAX, TEXT_MAX_BYTES, Load
from chain.wire.fields import UINT64_MAX

NOT_READ: Final = "unknown"


class LeasedPods:
    """The loads of this machine for every record; none on a machine without Kubernetes.

    Records do not wait for a cluster that is away: they go without loads, which is said when it begins and when it
    ends, and since counters count from a pod's start, the next record that has them misses nothing.
    """

    def __init__(self, emit: Emit, kubeconfig: Path = KUBECONFIG) -> None:
        self._emit = emit
        self._kubeconfig = kubeconfig
        self._is_away = False

    def __call__(self) -> tuple[Load, ...]:
        if not self._kubeconfig.is_file():
            return ()
        try:
            # Opened anew each time: the token in the file is replaced before it ends.
            cluster = Cluster(self._kubeconfig)
            found = loads(cluster, node_ready(cluster).node)
        except DccnError as error:
            if not self._is_away:
                self._is_away = True
                self._emit("loads_unread", reason=error.message)
            return ()
        if self._is_away:
            self._is_away = False
            self._emit("loads_read")
        return found


def loads(cluster: Cluster, node: str) -> tuple[Load, ...]:
    """One entry per pod of a lease on `node`, by lease and pod, at most as many as a record holds.

    Counters count from the pod's start; one that the kubelet does not give is None. GPU time is not the kubelet's to
    know. Raises Unavailable `cluster_unreachable`.
    """
    pods = cluster.ask(
        "reading the leased pods",
        cluster.core.list_pod_for_all_namespaces,
        label_selector=LEASE,
        field_selector=f"spec.nodeName={node}",
    ).items
    if not pods:
        return ()
    used = _used(cluster, node)
    ordered = sorted(pods, key=lambda pod: (pod.metadata.labels[LEASE], pod.metadata.name))
    return tuple(_load(pod, used.get(pod.metadata.uid, {})) for pod in ordered[:LOADS_MAX])


def _used(cluster: Cluster, node: str) -> dict[str, dict[str, Any]]:
    """The kubelet's figures by the pod's uid."""
    # Without this parameter a kubelet on a disk that it cannot name gives no figure at all.
    summary = cluster.get(f"/api/v1/nodes/{node}/proxy/stats/summary?only_cpu_and_memory=true")
    return {pod["podRef"]["uid"]: pod for pod in summary.get("pods") or ()}


def _load(pod: Any, used: dict[str, Any]) -> Load:
    containers = pod.status.container_statuses or ()
    image = (containers[0].image_id or "") if containers else ""
    return Load(
        lease=pod.metadata.labels[LEASE],
        image_digest=_text(image.rpartition("@")[2] or NOT_READ),
        cpu_ns=_count(used, "cpu", "usageCoreNanoSeconds"),
        gpu_ms=None,
        rss=_count(used, "memory", "rssBytes"),
        tx=_count(used, "network", "txBytes"),
        rx=_count(used, "network", "rxBytes"),
        state=_text(str(pod.status.phase or NOT_READ).lower()),
    )


def _count(used: dict[str, Any], group: str, name: str) -> int | None:
    figures = used.get(group)
    value = figures.get(name) if isinstance(figures, dict) else None
    return value if type(value) is int and 0 <= value <= UINT64_MAX else None


def _text(value: str) -> str:
    return value.encode()[:TEXT_MAX_BYTES].decode("utf-8", "ignore")
