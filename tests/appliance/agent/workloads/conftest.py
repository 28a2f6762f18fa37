"""A real Kubernetes for these tests: an API server without a node, and a node that runs pods; each started once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.agent.workloads.cluster import Cluster
from tests import kubernetes_cluster
from tests.kubernetes_cluster import ControlPlane, NoNode, OneNodeCluster


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    if reason := kubernetes_cluster.why_not():
        pytest.skip(reason)
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def api(control_plane: ControlPlane) -> Cluster:
    """The API server as its administrator sees it; it has no node."""
    return Cluster(control_plane.kubeconfig)


@pytest.fixture(scope="session")
def box_kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a cluster whose only node, `box`, runs pods."""
    if reason := kubernetes_cluster.why_not() or kubernetes_cluster.why_no_node():
        pytest.skip(reason)
    with ExitStack() as stack:
        try:
            running = stack.enter_context(OneNodeCluster(tmp_path_factory.mktemp("box")))
        except NoNode as error:
            pytest.skip(f"no node gets ready on this machine: {error}")
        yield running.kubeconfig


@pytest.fixture(scope="session")
def box(box_kubeconfig: Path) -> Cluster:
    """That cluster as its administrator sees it."""
    return Cluster(box_kubeconfig)
