"""The image's packet filter, loaded by nft itself in a network namespace of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

OVERLAY = Path(__file__).parents[3] / "appliance/image/overlay"
PODS = OVERLAY / "k3s/etc/nftables.d/k3s.nft"


@pytest.fixture
def space() -> Iterator[str]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    name = f"dccn-test-{os.getpid() % 65536:04x}f"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def load(space: str, folder: Path, *, with_pods: bool) -> None:
    """As the unit nftables.service does, with /etc/nftables.d in `folder`."""
    (folder / "nftables.d").mkdir(exist_ok=True)
    if with_pods:
        (folder / "nftables.d/k3s.nft").write_text(PODS.read_text())
    text = (OVERLAY / "common/etc/nftables.conf").read_text()
    assert '"/etc/nftables.d/*.nft"' in text
    rules = folder / "nftables.conf"
    rules.write_text(text.replace("/etc/nftables.d", str(folder / "nftables.d")))
    subprocess.run(["ip", "netns", "exec", space, "nft", "--file", rules], check=True, capture_output=True, text=True)


def rules(space: str) -> str:
    command = ["ip", "netns", "exec", space, "nft", "list", "ruleset"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_without_pods_nothing_is_forwarded(space: str, tmp_path: Path) -> None:
    load(space, tmp_path, with_pods=False)
    forward = rules(space).partition("chain forward")[2].partition("}")[0]
    assert "policy drop" in forward and "accept" not in forward


def test_pods_may_speak_and_nobody_may_speak_to_them_first(space: str, tmp_path: Path) -> None:
    load(space, tmp_path, with_pods=True)
    said = rules(space)
    assert said.count('iifname "cni0" ip saddr 10.42.0.0/16 accept') == 2
    assert "oifname" not in said and "6443" not in said and "10250" not in said


def test_loading_it_again_doubles_nothing_and_leaves_the_rules_of_pods_alone(space: str, tmp_path: Path) -> None:
    load(space, tmp_path, with_pods=True)
    first = rules(space)
    others = "add table ip nat; add chain ip nat KUBE-SERVICES; add rule ip nat KUBE-SERVICES counter accept"
    subprocess.run(["ip", "netns", "exec", space, "nft", others], check=True)
    load(space, tmp_path, with_pods=True)
    said = rules(space)
    assert "KUBE-SERVICES" in said and said.count("chain input") == 1
    assert said.count('iifname "cni0"') == first.count('iifname "cni0"')
