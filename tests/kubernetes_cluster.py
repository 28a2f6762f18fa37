"""A real Kubernetes for tests: etcd, API server, controllers and scheduler, and a node in its own network namespace.

Needs root, iproute2, and for the node Debian's containerd, runc and containernetworking-plugins.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.agent.workloads import node
from appliance.agent.workloads.cluster import Cluster
from appliance.image import oci
from chain import lifeline
from tests.chain.engines.cometbft.network import free_ports
from tests.waiting import wait_until
from tools.engines import kubernetes

IMAGE = "localhost/busybox:1"
PAUSE = "localhost/pause:1"
BUSYBOX = Path("/bin/busybox")
PODS = "10.42.7"
# Test networks (RFC 2544), which no network that this machine is part of uses.
CABLE = "198.18.7"
NODE_PROGRAMS = ("containerd", "runc", "ip", "nsenter", "/usr/lib/cni/bridge")
TOKEN = "token-of-the-test"
# Generous, because a machine that runs other tests beside is slow; a program that has ended is told at once.
START_S = 180
NODE_S, NODE_TRIES = 60, 3
LAST_LINES = 15


def why_not() -> str | None:
    """Why there can be no cluster here; None when there can."""
    if not kubernetes.binary().is_file():
        return f"Kubernetes is not in {kubernetes.binary().parent}: make engines"
    return None if os.geteuid() == 0 else "a cluster takes root"


def why_no_node() -> str | None:
    """Why there can be no node here; None when there can."""
    missing = [name for name in NODE_PROGRAMS if shutil.which(name) is None]
    return f"missing: {', '.join(missing)}: make engines" if missing else None


class NoNode(Exception):
    """No kubelet gets its node ready on this machine; the text is what it said last."""


class ControlPlane:
    """Use as a context manager. `kubeconfig` is the administrator's; the server listens on `host`."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder, self.host = folder, host
        self.kubeconfig = folder / "kubeconfig"
        self._stack = ExitStack()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        etcd, peers, self.port, controllers, scheduler = free_ports(5)
        self._etcd, self._peers = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peers}"
        self._controllers, self._scheduler = controllers, scheduler

    def __enter__(self) -> ControlPlane:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def run(self, program: str, *flags: str, within: tuple[str, ...] = ()) -> None:
        """One of the programs, with its log beside the others; it ends with the cluster."""
        self._spawn(program, [*within, kubernetes.binary(), program, *flags])

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Until a condition is true; when it never is, or a program has ended, the error is what all said last."""
        try:
            wait_until(lambda: self._ended() or condition(), START_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._last_words()}") from None
        if self._ended():
            raise AssertionError(f"these ended: {', '.join(self._ended())}\n{self._last_words()}")

    def _ended(self) -> list[str]:
        return [name for name, process in self._running.items() if process.poll() is not None]

    def _last_words(self) -> str:
        return "\n".join("\n".join([f"--- {name}", *self._log(name)[-LAST_LINES:]]) for name in self._running)

    def _log(self, name: str) -> list[str]:
        return (self.folder / f"{name}.log").read_text(errors="replace").splitlines()

    def _spawn(self, name: str, argv: list[str | Path]) -> None:
        log = self._stack.enter_context((self.folder / f"{name}.log").open("ab"))
        self._running[name] = lifeline.spawn(argv, stdout=log, stderr=log, env=_without_proxies())
        self._stack.callback(lifeline.stop, self._running[name], 5.0)

    def _start(self) -> None:
        folder = self.folder
        key = ec.generate_private_key(ec.SECP256R1())
        pem = serialization.Encoding.PEM
        (folder / "accounts.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        (folder / "accounts.pub").write_bytes(
            key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        self.run(
            "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={self._etcd}",
            f"--advertise-client-urls={self._etcd}",
            f"--listen-peer-urls={self._peers}",
            f"--initial-advertise-peer-urls={self._peers}",
            f"--initial-cluster=default={self._peers}",
            "--unsafe-no-fsync",
        )
        self.run(
            "kube-apiserver",
            f"--etcd-servers={self._etcd}",
            f"--bind-address={self.host}",
            f"--advertise-address={self.host}",
            f"--secure-port={self.port}",
            f"--cert-dir={folder / 'certificates'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--endpoint-reconciler-type=none",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-cluster-ip-range=10.43.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'accounts.pub'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
        )
        self.wait_for(lambda: (folder / "certificates/apiserver.crt").is_file())
        self.kubeconfig.write_text(self._kubeconfig())
        # The controllers give up when the server is not wholly ready within ten seconds of their start.
        self.wait_for(lambda: Cluster(self.kubeconfig).get("/readyz"))
        self.run(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--secure-port={self._controllers}",
            f"--service-account-private-key-file={folder / 'accounts.key'}",
            f"--root-ca-file={folder / 'certificates/apiserver.crt'}",
            "--use-service-account-credentials",
            "--leader-elect=false",
        )
        self.run(
            "kube-scheduler",
            f"--kubeconfig={self.kubeconfig}",
            f"--secure-port={self._scheduler}",
            "--leader-elect=false",
        )

    def _kubeconfig(self) -> str:
        authority = self.folder / "certificates/apiserver.crt"
        server = {"server": f"https://{self.host}:{self.port}", "certificate-authority": str(authority)}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "here", "cluster": server}],
                "users": [{"name": "admin", "user": {"token": TOKEN}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
                "current-context": "here",
            }
        )


class OneNodeCluster(ControlPlane):
    """A control plane and one node that really runs pods; the node's name is `box`. Raises NoNode on entry."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f"{CABLE}.1")
        self.space = f"dccn-test-{os.getpid() % 65536:04x}k"

    def _start(self) -> None:
        self._plug()
        super()._start()
        self._containerd()
        # A kubelet that ends, or waits for ever, is started again, as systemd does it.
        for _ in range(NODE_TRIES):
            self._kubelet()
            if self._node_is_ready():
                return
            lifeline.stop(self._running["kubelet"])
        raise NoNode(" ".join(self._log("kubelet")[-1:]) or "the kubelet said nothing")

    def _node_is_ready(self) -> bool:
        """Whether it is so before its time is over or its kubelet ends."""
        kubelet, cluster = self._running["kubelet"], Cluster(self.kubeconfig)
        with suppress(AssertionError):
            wait_until(lambda: kubelet.poll() is not None or node.node_ready(cluster).is_ready, NODE_S)
            return kubelet.poll() is None
        return False

    def _plug(self) -> None:
        """A namespace for the node, with one cable to the API server."""
        outer = self.space[-6:] + "-c"
        ip("netns", "add", self.space)
        self._stack.callback(ip, "netns", "delete", self.space)
        ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        ip("address", "add", f"{CABLE}.1/30", "dev", outer)
        ip("link", "set", outer, "up")
        ip("-n", self.space, "link", "set", "lo", "up")
        ip("-n", self.space, "address", "add", f"{CABLE}.2/30", "dev", "eth0")
        ip("-n", self.space, "link", "set", "eth0", "up")
        ip("-n", self.space, "route", "add", "default", "via", f"{CABLE}.1")

    @property
    def _inside(self) -> tuple[str, ...]:
        # nsenter, not `ip netns exec`: that one hides /sys/fs/cgroup.
        return ("nsenter", f"--net=/run/netns/{self.space}")

    def _containerd(self) -> None:
        folder = self.folder
        networks = folder / "networks"
        networks.mkdir()
        addresses = {"type": "host-local", "subnet": f"{PODS}.0/24", "dataDir": str(folder / "addresses")}
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": addresses}
        (networks / "10-pods.conflist").write_text(
            json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]})
        )
        (folder / "containerd.toml").write_text(
            f"""version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
[grpc]
address = "{self._socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{networks}"
"""
        )
        self._stack.callback(self._unmount)
        self._spawn("containerd", [*self._inside, "containerd", "-c", folder / "containerd.toml"])
        self._stack.callback(self._take_away_pods)
        self.wait_for(Path(self._socket).exists)
        for reference, command in ((IMAGE, ["/bin/sleep", "3600"]), (PAUSE, ["/bin/sleep", "1000000"])):
            links = {f"bin/{name}": "busybox" for name in ("sh", "sleep", "true", "false", "cat", "wget", "httpd")}
            packed = folder / "image.tar"
            packed.write_bytes(
                oci.archive(reference, {"bin/busybox": BUSYBOX.read_bytes()}, command=command, links=links)
            )
            self.ctr("images", "import", str(packed))

    def ctr(self, *words: str) -> str:
        """What containerd's own client says."""
        return subprocess.run([*self._ctr, *words], check=True, capture_output=True, text=True, timeout=60).stdout

    @property
    def _ctr(self) -> tuple[str, ...]:
        return ("ctr", "--address", self._socket, "--namespace", "k8s.io")

    def _kubelet(self) -> None:
        root = self.folder / "kubelet"
        settings = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": f"{CABLE}.2",
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "makeIPTablesUtilChains": False,
            "nodeStatusUpdateFrequency": "2s",
            "oomScoreAdj": 0,
            "podLogsDir": str(self.folder / "pod-logs"),
            "volumePluginDir": str(self.folder / "volume-plugins"),
        }
        path = self.folder / "kubelet.yaml"
        path.write_text(yaml.safe_dump(settings))
        self.run(
            "kubelet",
            f"--config={path}",
            f"--kubeconfig={self.kubeconfig}",
            "--hostname-override=box",
            f"--node-ip={CABLE}.2",
            f"--root-dir={root}",
            f"--cert-dir={root / 'certificates'}",
            within=self._inside,
        )

    @property
    def _socket(self) -> str:
        return f"{self.folder}/containerd.sock"

    def _take_away_pods(self) -> None:
        """Containers, their networks and mounts outlive the programs that made them; nothing of a test may."""
        spaces = set()
        for container in self.ctr("containers", "list", "--quiet").split():
            spec = json.loads(self.ctr("containers", "info", container))["Spec"]
            paths = [each.get("path", "") for each in spec["linux"]["namespaces"] if each["type"] == "network"]
            spaces.update(Path(path).name for path in paths if "/netns/" in path)
        # Sandboxes come last: with the last task of a pod its shim ends.
        tasks = self.ctr("tasks", "list", "--quiet").split()
        for task in sorted(tasks, key=lambda each: self.ctr("containers", "info", each).count(PAUSE)):
            delete = [*self._ctr, "tasks", "delete", "--force", task]
            subprocess.run(delete, check=False, capture_output=True, timeout=60)
        for space in spaces & {path.name for path in Path("/run/netns").iterdir()}:
            ip("netns", "delete", space)

    def _unmount(self) -> None:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in reversed([place for place in mounts if place.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", place], check=True, timeout=30)
        for folder, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
            if "/kubepods" in folder:
                with suppress(OSError):
                    Path(folder).rmdir()


def _without_proxies() -> dict[str, str]:
    """The programs speak with each other alone, by addresses that no proxy of this machine reaches."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
