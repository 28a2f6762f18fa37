"""What the agent may do in the cluster, and the kubeconfig that lets it: less than an administrator, never more.

Root runs this after every start of k3s: `python3 -m appliance.agent.workloads.access ADMIN_KUBECONFIG TARGET GROUP`.
The agent may keep namespaces, deployments and network policies, read and evict pods, read nodes and close them. It may
not read secrets, run commands in pods, or change what it may do. Its token lasts a day and is bound to this cluster.
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from appliance.agent.workloads.cluster import Cluster
from chain.errors import DccnError
from chain.files import replace

NAME: Final = "dccn-agent"
SPACE: Final = "kube-system"
TOKEN_S: Final = 24 * 3600
MODE: Final = 0o640
RULES: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("", ("namespaces",), ("get", "list", "create", "patch", "delete")),
    ("apps", ("deployments",), ("get", "list", "create", "patch", "delete")),
    ("networking.k8s.io", ("networkpolicies",), ("get", "create", "patch", "delete")),
    ("", ("pods", "nodes"), ("get", "list")),
    ("", ("nodes",), ("patch",)),
    ("", ("nodes/proxy",), ("get",)),
    ("", ("pods/eviction",), ("create",)),
)
"""API group, resources, verbs."""


def grant(cluster: Cluster) -> bytes:
    """Make the agent's account with its rights, and return a kubeconfig with a fresh token for it."""
    labels = {"app.kubernetes.io/managed-by": NAME}
    meta = {"name": NAME, "labels": labels}
    cluster.apply(
        f"/api/v1/namespaces/{SPACE}/serviceaccounts/{NAME}",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**meta, "namespace": SPACE}},
    )
    rbac = "rbac.authorization.k8s.io"
    rules = [_rule(*rule) for rule in RULES]
    cluster.apply(
        f"/apis/{rbac}/v1/clusterroles/{NAME}",
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": meta,
            "rules": rules,
        },
    )
    cluster.apply(
        f"/apis/{rbac}/v1/clusterrolebindings/{NAME}",
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": SPACE}],
        },
    )
    request = {"spec": {"expirationSeconds": TOKEN_S}}
    token = cluster.ask(
        "making a token", cluster.core.create_namespaced_service_account_token, NAME, SPACE, request
    ).status.token
    return _kubeconfig(cluster, token)


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        print("usage: access ADMIN_KUBECONFIG TARGET GROUP", file=sys.stderr)
        return 2
    admin, target, group = Path(arguments[0]), Path(arguments[1]), arguments[2]
    try:
        replace(target, grant(Cluster(admin)), mode=MODE, sync=False)
        shutil.chown(target, "root", group)
    except (DccnError, OSError, LookupError) as error:
        print(f"no access for the agent: {error}", file=sys.stderr)
        return 1
    return 0


def _rule(group: str, resources: tuple[str, ...], verbs: tuple[str, ...]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _kubeconfig(cluster: Cluster, token: str) -> bytes:
    """As JSON, which every reader of YAML takes."""
    authority = base64.b64encode(cluster.authority).decode()
    server = {"server": cluster.server, "certificate-authority-data": authority}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": server}],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
