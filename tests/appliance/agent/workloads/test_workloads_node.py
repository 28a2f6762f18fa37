"""Real pods on a real kubelet: a Deployment comes up, is counted, leaves its node when asked, and goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.agent.workloads import deployment, node
from appliance.agent.workloads.__main__ import main
from appliance.agent.workloads.cluster import Cluster
from appliance.agent.workloads.deployment import Workload
from appliance.agent.workloads.loads import LeasedPods, loads
from chain.errors import Unavailable
from tests.appliance.agent.conftest import Events
from tests.kubernetes_cluster import IMAGE
from tests.waiting import wait_until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600)]
# A shell that ends at once when asked to, and burns a little so that there is something to count.
WORK = ("/bin/sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.2; done")


def workload(lease: str, **changes: object) -> Workload:
    return Workload(**{"lease": lease, "image": IMAGE, "command": WORK, **changes})  # type: ignore[arg-type]


def test_a_node_says_that_it_is_ready_and_which_version_it_runs(box: Cluster) -> None:
    state = node.node_ready(box)
    assert (state.node, state.is_ready, state.takes_work) == ("box", True, True)
    assert state.version.startswith("v1.35.")
    assert node.node_ready(box, "box") == state


def test_a_deployment_runs_as_a_container_and_its_use_is_counted(box: Cluster) -> None:
    work = workload("counted", memory_mib=32)
    deployment.apply(box, work)
    done = deployment.wait_until_complete(box, work, timeout_s=90)
    assert done == deployment.Progress(1, 1, "")

    def counted() -> bool:
        (load,) = [each for each in loads(box, "box") if each.lease == "counted"]
        assert (load.state, load.image_digest.startswith("sha256:")) == ("running", True)
        return bool(load.cpu_ns and load.rss)

    wait_until(counted, 60)
    assert deployment.delete(box, work)


def test_records_go_without_loads_while_the_cluster_is_away_and_it_is_said_once(
    box: Cluster, box_kubeconfig: Path, tmp_path: Path, events: Events
) -> None:
    work = workload("recorded")
    deployment.apply(box, work)
    assert deployment.wait_until_complete(box, work, timeout_s=90).is_complete
    kubeconfig = tmp_path / "kubeconfig"
    source = LeasedPods(events, kubeconfig)
    assert source() == () and events.seen == []  # no Kubernetes on this machine
    kubeconfig.write_text(box_kubeconfig.read_text().replace("198.18.", "127.18."))
    assert source() == () and source() == ()
    assert [name for name, _ in events.seen] == ["loads_unread"]
    kubeconfig.write_text(box_kubeconfig.read_text())
    assert "recorded" in {load.lease for load in source()}
    assert [name for name, _ in events.seen] == ["loads_unread", "loads_read"]
    assert deployment.delete(box, work)


def test_the_commands_of_the_units_say_what_they_did(
    box: Cluster, box_kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Cluster.__init__, "__defaults__", (box_kubeconfig,))
    assert main(["ready"]) == 0 and "box v1.35" in capsys.readouterr().out
    assert main(["drain", "60"]) == 0 and "pods went" in capsys.readouterr().out
    assert main(["ready"]) == 0 and not node.node_ready(box).takes_work
    assert main(["resume"]) == 0 and node.node_ready(box).takes_work
    for wrong in ([], ["drain"], ["drain", "-1"], ["drain", "x"], ["ready", "now"], ["kill"]):
        assert main(wrong) == 2 and "usage:" in capsys.readouterr().err
    monkeypatch.setattr(Cluster.__init__, "__defaults__", (Path("/nowhere/kubeconfig"),))
    assert main(["ready"]) == 3 and "there is no /nowhere/kubeconfig" in capsys.readouterr().err


def test_the_container_has_neither_root_nor_more_memory_than_it_was_given(box: Cluster) -> None:
    work = workload("bounded", memory_mib=24, command=("/bin/sh", "-c", "cat /dev/zero | sort"))
    shown = workload("shown", command=("/bin/sh", "-c", "exit 0"))
    deployment.apply(box, shown)
    deployment.apply(box, work)

    def killed() -> bool:
        return "OOMKilled" in restarts(box, work) or "CrashLoopBackOff" in deployment.progress(box, work).reason

    wait_until(killed, 90)
    (pod, *_) = box.core.list_namespaced_pod(work.namespace).items
    assert pod.spec.containers[0].security_context.run_as_user == deployment.USER_ID
    assert deployment.delete(box, work) and deployment.delete(box, shown)


def restarts(cluster: Cluster, work: Workload) -> str:
    pods = cluster.core.list_namespaced_pod(work.namespace).items
    states = [status.last_state for pod in pods for status in pod.status.container_statuses or ()]
    return " ".join(state.terminated.reason for state in states if state and state.terminated)


def test_an_image_that_is_nowhere_is_told_as_the_reason(box: Cluster) -> None:
    work = workload("imageless", image="localhost/nobody-has-this:1")
    deployment.apply(box, work)
    wait_until(lambda: "localhost/nobody-has-this" in deployment.progress(box, work).reason, 60)
    assert not deployment.progress(box, work).is_complete
    assert deployment.delete(box, work)


def test_a_drained_node_is_empty_takes_no_work_and_does_again_when_reopened(box: Cluster) -> None:
    work = workload("moved", replicas=2)
    deployment.apply(box, work)
    assert deployment.wait_until_complete(box, work, timeout_s=90).is_complete
    drained = node.drain(box, timeout_s=60)
    try:
        mine = [name for name in drained.gone if name.startswith("lease-moved/")]
        assert len(mine) == 2 and drained.left == ()
        assert not node.node_ready(box).takes_work and node.node_ready(box).is_ready
        wait_until(lambda: "unschedulable" in deployment.progress(box, work).reason, 60)
    finally:
        node.reopen(box)
    assert deployment.wait_until_complete(box, work, timeout_s=90).is_complete
    assert deployment.delete(box, work)


def test_a_disruption_budget_keeps_a_pod_until_the_time_is_over(box: Cluster) -> None:
    work = workload("kept")
    deployment.apply(box, work)
    assert deployment.wait_until_complete(box, work, timeout_s=90).is_complete
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "all", "namespace": work.namespace},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {deployment.LEASE: "kept"}}},
    }
    path = f"/apis/policy/v1/namespaces/{work.namespace}/poddisruptionbudgets/all"
    box.apply(path, budget)
    wait_until(lambda: "observedGeneration" in box.get(path).get("status", {}), 30)
    drained = node.drain(box, timeout_s=3)
    node.reopen(box)
    assert "lease-kept" in {name.split("/")[0] for name in drained.left}
    assert deployment.delete(box, work)


def test_a_node_that_is_not_there_is_said(box: Cluster) -> None:
    with pytest.raises(Unavailable, match="there is no node elsewhere"):
        node.node_ready(box, "elsewhere")


def test_a_cluster_that_is_away_is_said_at_once(box: Cluster, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no"):
        Cluster(tmp_path / "kubeconfig")
    broken = tmp_path / "broken"
    for content in (b"", b"\xff\xfe", b"{}", b"clusters: 5", b"clusters:\n- name: [", b"%" * 10_000_000):
        broken.write_bytes(content)
        with pytest.raises(Unavailable, match="is no kubeconfig"):
            Cluster(broken)
