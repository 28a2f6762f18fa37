"""Stands in for k3s in an image: the Kubernetes that we build, with Debian's containerd.

One file like k3s itself: an archive that Python runs, with the programs inside; it unpacks them below /var. It takes
from the settings of k3s what concerns a node, keeps to the same files and ports, tells systemd when it is ready, and
then, as the agent's user and with the agent's own code, runs a workload, empties the node and opens it again.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

DATA = Path("/var/lib/rancher/k3s")
KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")
AGENT_KUBECONFIG = Path("/run/dccn-cluster/kubeconfig")
IMAGE = "localhost/busybox:1"
SOCKET = "/run/k3s/containerd/containerd.sock"
TOKEN = "a-token-of-this-test"
# Whether a pod reaches the API server through the packet filter, then a sleep that ends when it is asked to.
WORK = "nc -w 60 198.18.0.1 6443 </dev/null && echo reached; trap 'exit 0' TERM; while true; do sleep 0.2; done"


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["trial"]:
        return trial()
    if arguments[:3] == ["kubectl", "get", "nodes"]:
        return ready()
    import yaml

    settings = yaml.safe_load(Path(arguments[arguments.index("--config") + 1]).read_text())
    with zipfile.ZipFile(sys.argv[0]) as archive:
        archive.extract("kubernetes", DATA)
    (DATA / "kubernetes").chmod(0o755)
    control_plane(settings)
    tell("control_plane_ready")
    node(settings)
    notify()
    wait_until(AGENT_KUBECONFIG.exists, 600)
    command = ["setpriv", "--reuid=dccn-agent", "--regid=dccn-agent", "--init-groups", sys.executable, sys.argv[0]]
    done = subprocess.run([*command, "trial"], capture_output=True, text=True, check=False)
    tell("trial_ended", status=done.returncode, said=done.stdout[-600:], errors=done.stderr[-600:])
    tell("pod_log", text=pod_log())
    for unit in ("dccn-drain.service", "dccn-resume.service"):
        started = subprocess.run(["systemctl", "start", unit], capture_output=True, text=True, check=False)
        tell("node_asked", unit=unit, status=started.returncode, unschedulable=unschedulable())
    time.sleep(100_000)
    return 0


def ready() -> int:
    """What the judgement of a boot asks k3s for."""
    from appliance.agent.workloads import node
    from appliance.agent.workloads.cluster import Cluster

    print(node.node_ready(Cluster(KUBECONFIG)).is_ready)
    return 0


def trial() -> int:
    """As the agent: wait for the node, run a workload, count what it used."""
    from appliance.agent.workloads import deployment, node
    from appliance.agent.workloads.cluster import Cluster
    from appliance.agent.workloads.loads import loads

    cluster = Cluster()
    wait_until(lambda: node.node_ready(cluster).is_ready, 600)
    state = node.node_ready(cluster)
    work = deployment.Workload(lease="first", image=IMAGE, command=("/bin/sh", "-c", WORK))
    deployment.apply(cluster, work)
    done = deployment.wait_until_complete(cluster, work, timeout_s=600)
    (load,) = loads(cluster, state.node)
    print(json.dumps({"node": state.node, "available": done.available, "reason": done.reason, "state": load.state}))
    return 0 if done.is_complete else 1


def control_plane(settings: dict[str, Any]) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from appliance.agent.workloads.cluster import Cluster

    folder = DATA / "server"
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "accounts.key").write_bytes(secret)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "accounts.pub").write_bytes(public)
    (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
    start(
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=default=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
    )
    start(
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--advertise-address={settings['node-ip']}",
        "--secure-port=6443",
        f"--cert-dir={folder / 'tls'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--endpoint-reconciler-type=none",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-cluster-ip-range=10.43.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.pub'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
    )
    authority = folder / "tls/apiserver.crt"
    wait_until(authority.exists, 600)
    KUBECONFIG.parent.mkdir(parents=True, exist_ok=True)
    server = {"server": "https://localhost:6443", "certificate-authority": str(authority)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default", "cluster": server}],
        "users": [{"name": "default", "user": {"token": TOKEN}}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "current-context": "default",
    }
    KUBECONFIG.write_text(json.dumps(document))
    KUBECONFIG.chmod(int(settings["write-kubeconfig-mode"], 8))
    # The controllers give up when the server is not wholly ready within ten seconds of their start.
    wait_until(lambda: Cluster(KUBECONFIG).get("/readyz"), 900)
    start(
        "kube-controller-manager",
        f"--kubeconfig={KUBECONFIG}",
        f"--service-account-private-key-file={folder / 'accounts.key'}",
        f"--root-ca-file={authority}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        *(f"--{each}" for each in settings["kube-controller-manager-arg"]),
    )
    start("kube-scheduler", f"--kubeconfig={KUBECONFIG}", "--leader-elect=false")


def node(settings: dict[str, Any]) -> None:
    import yaml

    folder = DATA / "agent"
    networks = folder / "networks"
    networks.mkdir(parents=True, exist_ok=True)
    addresses = {"type": "host-local", "subnet": "10.42.0.0/24", "dataDir": str(folder / "addresses")}
    addresses["routes"] = [{"dst": "0.0.0.0/0"}]  # type: ignore[assignment]
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": addresses}
    conflist = {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}
    (networks / "10-pods.conflist").write_text(json.dumps(conflist))
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    (folder / "containerd.toml").write_text(
        f"""version = 2
root = "{folder}/containerd"
state = "/run/k3s/containerd-state"
[grpc]
address = "{SOCKET}"
[{cri}]
sandbox_image = "{IMAGE}"
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = true
[{cri}.cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{networks}"
"""
    )
    Path(SOCKET).parent.mkdir(parents=True, exist_ok=True)
    subprocess.Popen(["containerd", "-c", folder / "containerd.toml"])
    wait_until(Path(SOCKET).exists, 300)
    for image in sorted((folder / "images").glob("*.tar")):
        subprocess.run(["ctr", "--address", SOCKET, "--namespace", "k8s.io", "images", "import", image], check=True)
    arguments = dict(each.split("=", 1) for each in settings["kubelet-arg"])
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "systemd",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "containerLogMaxSize": arguments["container-log-max-size"],
        "containerLogMaxFiles": int(arguments["container-log-max-files"]),
        "runtimeRequestTimeout": "10m",
        "volumePluginDir": arguments["volume-plugin-dir"],
    }
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(kubelet))
    start(
        "kubelet",
        f"--config={folder / 'kubelet.yaml'}",
        f"--kubeconfig={KUBECONFIG}",
        f"--hostname-override={settings['node-name']}",
        f"--node-ip={settings['node-ip']}",
        f"--cert-dir={folder / 'tls'}",
    )


def start(program: str, *flags: str) -> None:
    log = (DATA / f"{program}.log").open("wb")
    subprocess.Popen([DATA / "kubernetes", program, *flags], stdout=log, stderr=log)


def pod_log() -> str:
    """What the workload's pod wrote, as the cluster's administrator reads it."""
    from appliance.agent.workloads.cluster import Cluster

    cluster = Cluster(KUBECONFIG)
    (pod,) = cluster.core.list_namespaced_pod("lease-first").items
    deadline, text = time.monotonic() + 90, ""
    while not text and time.monotonic() < deadline:
        text = cluster.core.read_namespaced_pod_log(pod.metadata.name, "lease-first")
        time.sleep(1)
    return str(text)


def unschedulable() -> bool:
    from appliance.agent.workloads import node as nodes
    from appliance.agent.workloads.cluster import Cluster

    return not nodes.node_ready(Cluster(KUBECONFIG)).takes_work


def notify() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(os.environ["NOTIFY_SOCKET"])
        channel.send(b"READY=1")


def tell(event: str, **more: object) -> None:
    """A line on the serial console, as the agent of test images writes its events; whatever was written before ends."""
    Path("/dev/ttyS0").write_text("\n" + json.dumps({"event": event, **more}) + "\n")


def wait_until(condition: Any, timeout_s: float) -> None:
    deadline, last = time.monotonic() + timeout_s, None
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except Exception as error:  # whatever is not there yet
            last = error
        time.sleep(1)
    tell("gave_up", last=str(last))
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
