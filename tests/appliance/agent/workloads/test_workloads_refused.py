"""What a real API server says no to is told in its own words, and what ran before stays."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from appliance.agent.workloads import deployment, node
from appliance.agent.workloads.cluster import Cluster, Denied
from appliance.agent.workloads.deployment import Workload
from chain.errors import Malformed, Refused, Unavailable
from tests.kubernetes_cluster import ControlPlane
from tests.waiting import wait_until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(180)]
IMAGE = "localhost/anything:1"
MANIFESTS = Path(__file__).parents[4] / "appliance/image/overlay/nvidia/usr/lib/dccn/manifests"
DEVICE_PLUGIN = MANIFESTS / "nvidia-device-plugin.yaml"


def test_a_deployment_is_kept_by_the_server_and_waits_for_a_node(api: Cluster) -> None:
    work = Workload(lease="waits", image=IMAGE)
    deployment.apply(api, work)
    wait_until(lambda: "no nodes available" in deployment.progress(api, work).reason, 60)
    assert deployment.progress(api, work).wanted == 1
    with pytest.raises(Unavailable, match="one node was expected; there are: none"):
        node.node_ready(api)


def test_the_device_plugin_of_the_nvidia_image_is_one_that_the_server_takes(api: Cluster) -> None:
    (document,) = yaml.safe_load_all(DEVICE_PLUGIN.read_bytes())
    kept = api.apply("/apis/apps/v1/namespaces/kube-system/daemonsets/nvidia-device-plugin", document)
    assert kept["spec"]["template"]["spec"]["runtimeClassName"] == "nvidia"


def test_a_workload_with_a_card_waits_for_one_under_nvidias_runtime(api: Cluster) -> None:
    runtime = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "nvidia"},
        "handler": "nvidia",
    }
    api.apply("/apis/node.k8s.io/v1/runtimeclasses/nvidia", runtime)
    work = Workload(lease="carded", image=IMAGE, gpus=2)
    deployment.apply(api, work)
    wait_until(lambda: api.core.list_namespaced_pod(work.namespace).items, 60)
    (pod,) = api.core.list_namespaced_pod(work.namespace).items
    assert pod.spec.runtime_class_name == "nvidia"
    assert pod.spec.containers[0].resources.limits["nvidia.com/gpu"] == "2"


def test_applying_the_same_twice_changes_nothing(api: Cluster) -> None:
    work = Workload(lease="same", image=IMAGE, environment={"A": "1"})
    deployment.apply(api, work)
    first = generation(api, work)
    deployment.apply(api, work)
    assert generation(api, work) == first
    deployment.apply(api, replace(work, environment={"B": "2"}))
    (container,) = api.apps.read_namespaced_deployment("same", work.namespace).spec.template.spec.containers
    assert [(each.name, each.value) for each in container.env] == [("B", "2")]


def generation(cluster: Cluster, work: Workload) -> int:
    return int(cluster.apps.read_namespaced_deployment(work.lease, work.namespace).metadata.generation)


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": -1},
        {"cpu_milli": -5},
        {"memory_mib": -1},
        {"image": ""},
        {"gpus": -2},
        {"environment": {"": "x"}},
        {"environment": {"NAME": "x" * 3_000_000}},
    ],
)
def test_a_workload_that_makes_no_sense_is_refused_and_the_one_before_stays(
    api: Cluster, change: dict[str, object]
) -> None:
    good = Workload(lease="stays", image=IMAGE)
    deployment.apply(api, good)
    before = generation(api, good)
    with pytest.raises(Refused) as error:
        deployment.apply(api, replace(good, **change))  # type: ignore[arg-type]
    assert error.value.code == "workload_refused" and "Deployment stays" in error.value.message
    assert generation(api, good) == before


@pytest.mark.parametrize("lease", ["", "A", "-a", "a-", "a_b", "a/b", "../kube-system", "a" * 53, "a\n", "é"])
def test_a_lease_whose_name_could_lead_elsewhere_is_refused(lease: str) -> None:
    with pytest.raises(Malformed, match="no name for a lease"):
        Workload(lease=lease, image=IMAGE)


def test_a_lease_over_its_quota_says_so(api: Cluster) -> None:
    work = Workload(lease="quota", image=IMAGE, memory_mib=512)
    deployment.apply(api, replace(work, replicas=0))
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "all", "namespace": work.namespace},
        "spec": {"hard": {"requests.memory": "256Mi"}},
    }
    api.apply(f"/api/v1/namespaces/{work.namespace}/resourcequotas/all", quota)
    deployment.apply(api, work)

    def told() -> bool:
        conditions = api.apps.read_namespaced_deployment(work.lease, work.namespace).status.conditions or ()
        return any("exceeded quota" in (each.message or "") for each in conditions)

    wait_until(told, 60)


def test_deleting_what_is_not_there_says_so(api: Cluster) -> None:
    assert not deployment.delete(api, Workload(lease="never", image=IMAGE))
    assert deployment.progress(api, Workload(lease="never", image=IMAGE)).reason == "NotThere"


@pytest.fixture
def agent(control_plane: ControlPlane, tmp_path: Path) -> Cluster:
    """The cluster as the agent sees it, by the program that root runs."""
    target = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "appliance.agent.workloads.access", control_plane.kubeconfig, target, "nogroup"]
    subprocess.run(command, check=True, timeout=60)
    assert target.stat().st_mode & 0o777 == 0o640 and target.group() == "nogroup"
    return Cluster(target)


def test_the_agent_may_run_workloads_and_empty_its_node(agent: Cluster, api: Cluster) -> None:
    work = Workload(lease="agents", image=IMAGE)
    deployment.apply(agent, work)
    box = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "lone"}}
    api.core.create_node(box)
    try:
        assert node.drain(agent, timeout_s=5).left == ()
        assert not node.node_ready(agent).takes_work
        node.reopen(agent)
        assert node.node_ready(agent).takes_work
    finally:
        api.core.delete_node("lone")
    assert deployment.delete(agent, work)


def test_the_agent_may_not_read_secrets_run_commands_or_raise_itself(agent: Cluster) -> None:
    pod = {"metadata": {"name": "x"}, "spec": {"containers": []}}
    forbidden = [
        ("secrets", agent.core.list_secret_for_all_namespaces, ()),
        ("config maps", agent.core.list_config_map_for_all_namespaces, ()),
        (
            "a pod",
            agent.core.create_namespaced_pod,
            ("default", pod),
        ),
        ("a shell", agent.core.connect_post_namespaced_pod_exec, ("any", "default")),
        ("its role", agent.rbac.patch_cluster_role, ("dccn-agent", {"rules": []})),
        ("a binding", agent.rbac.patch_cluster_role_binding, ("cluster-admin", {"subjects": []})),
        ("a token", agent.core.create_namespaced_service_account_token, ("default", "default", {"spec": {}})),
    ]
    for what, call, arguments in forbidden:
        with pytest.raises(Denied, match="cannot") as error:
            agent.ask(what, call, *arguments)
        assert error.value.status == 403, what


def test_a_pod_that_wants_root_is_refused_in_a_lease(api: Cluster, agent: Cluster) -> None:
    work = Workload(lease="rootless", image=IMAGE)
    deployment.apply(agent, work)
    account = api.core.read_namespaced_service_account
    wait_until(lambda: api.find("the account of the lease's pods", account, "default", work.namespace), 60)
    pod = {"metadata": {"name": "root"}, "spec": {"hostNetwork": True, "containers": [{"name": "a", "image": IMAGE}]}}
    with pytest.raises(Denied, match='violates PodSecurity "restricted'):
        api.ask("a pod of root's", api.core.create_namespaced_pod, work.namespace, pod)


def test_a_server_that_went_away_is_told_and_not_waited_for(control_plane: ControlPlane, tmp_path: Path) -> None:
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(control_plane.kubeconfig.read_text().replace(f":{control_plane.port}", ":1"))
    with pytest.raises(Unavailable, match="NewConnectionError") as error:
        node.node_ready(Cluster(nowhere))
    assert error.value.code == "cluster_unreachable"


def test_a_wrong_token_is_no_way_in(control_plane: ControlPlane, tmp_path: Path) -> None:
    wrong = tmp_path / "kubeconfig"
    wrong.write_text(control_plane.kubeconfig.read_text().replace("token-of-the-test", "another"))
    with pytest.raises(Denied, match="Unauthorized"):
        node.node_ready(Cluster(wrong))


def test_the_server_is_never_asked_through_a_proxy(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert Cluster(control_plane.kubeconfig).get("/readyz")
