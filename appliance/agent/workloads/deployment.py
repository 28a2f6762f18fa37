"""One customer's program as a Deployment: what it may use, put in place, watched, taken away."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.agent.workloads.cluster import FIELD_MANAGER, Cluster
from chain.errors import Malformed

LEASE: Final = "dccn.io/lease"
"""The label under which every object of a lease is found again."""
POLL_S: Final = 0.5
USER_ID: Final = 65532
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a lease runs: `cpu_milli` thousandths of a core and `memory_mib` are what it gets and all it gets."""

    lease: str
    image: str
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    replicas: int = 1
    cpu_milli: int = 100
    memory_mib: int = 64
    gpus: int = 0

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.lease) is None:
            raise Malformed("workload_refused", f"{self.lease!r} is no name for a lease: a-z, 0-9 and -, at most 52")

    @property
    def namespace(self) -> str:
        """A lease has a namespace of its own, so that it sees nobody else."""
        return f"lease-{self.lease}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a Deployment is; `reason` says in Kubernetes' words what its pods wait for."""

    wanted: int
    available: int
    reason: str

    @property
    def is_complete(self) -> bool:
        return self.available >= self.wanted


def apply(cluster: Cluster, workload: Workload) -> None:
    """Make the cluster hold this workload; the same again changes nothing, another one under the lease replaces it.

    Raises Refused `workload_refused` with the server's reason, and then leaves what ran before as it is.
    """
    space = workload.namespace
    cluster.apply(f"/api/v1/namespaces/{space}", _namespace(workload))
    cluster.apply(f"/apis/networking.k8s.io/v1/namespaces/{space}/networkpolicies/closed", _closed(workload))
    cluster.apply(f"/apis/apps/v1/namespaces/{space}/deployments/{workload.lease}", _deployment(workload))


def progress(cluster: Cluster, workload: Workload) -> Progress:
    """How far the workload is; none of it is available when it is not there."""
    found = cluster.find(
        f"reading {workload.lease}", cluster.apps.read_namespaced_deployment, workload.lease, workload.namespace
    )
    if found is None:
        return Progress(workload.replicas, 0, "NotThere")
    is_seen = (found.status.observed_generation or 0) >= found.metadata.generation
    available = (found.status.available_replicas or 0) if is_seen else 0
    reason = "" if available >= found.spec.replicas else _why(cluster, workload)
    return Progress(found.spec.replicas, available, reason)


def wait_until_complete(
    cluster: Cluster,
    workload: Workload,
    *,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> Progress:
    """The progress when all runs or the time is over, whichever comes first."""
    deadline = clock() + timeout_s
    while not (now := progress(cluster, workload)).is_complete and clock() < deadline:
        wait(POLL_S)
    return now


def delete(cluster: Cluster, workload: Workload) -> bool:
    """Take the lease's namespace away with all that is in it; False when there was none."""
    gone = cluster.find(f"ending {workload.lease}", cluster.core.delete_namespace, workload.namespace)
    return gone is not None


def _why(cluster: Cluster, workload: Workload) -> str:
    pods = cluster.ask(
        f"reading the pods of {workload.lease}", cluster.core.list_namespaced_pod, workload.namespace
    ).items
    for pod in pods:
        for container in pod.status.container_statuses or ():
            waiting = container.state.waiting if container.state else None
            if waiting is not None and waiting.reason:
                return f"{waiting.reason}: {waiting.message}" if waiting.message else str(waiting.reason)
        for condition in pod.status.conditions or ():
            if condition.status == "False" and condition.message:
                return f"{condition.reason}: {condition.message}"
    return "NoPodYet"


def _labels(workload: Workload) -> dict[str, str]:
    return {LEASE: workload.lease, "app.kubernetes.io/managed-by": FIELD_MANAGER}


def _namespace(workload: Workload) -> dict[str, Any]:
    # The strictest of Kubernetes' own rules for pods: no root, no host, no capability, whatever a manifest says.
    labels = {**_labels(workload), "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": workload.namespace, "labels": labels}}


def _closed(workload: Workload) -> dict[str, Any]:
    """Nobody reaches the lease's pods; what they reach themselves is the network's matter."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed", "namespace": workload.namespace, "labels": _labels(workload)},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }


def _deployment(workload: Workload) -> dict[str, Any]:
    labels = _labels(workload)
    amounts = {"cpu": f"{workload.cpu_milli}m", "memory": f"{workload.memory_mib}Mi"}
    if workload.gpus:
        amounts["nvidia.com/gpu"] = str(workload.gpus)
    container = {
        "name": "main",
        "image": workload.image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, "value": value} for name, value in sorted(workload.environment.items())],
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if workload.command:
        container["command"] = list(workload.command)
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 20,
        "containers": [container],
    }
    if workload.gpus:
        pod["runtimeClassName"] = "nvidia"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": workload.lease, "namespace": workload.namespace, "labels": labels},
        "spec": {
            "replicas": workload.replicas,
            "selector": {"matchLabels": {LEASE: workload.lease}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
