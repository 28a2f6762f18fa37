"""The Kubernetes that is built for tests, and the k3s that is brought for images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.image import artifacts
from tools.engines import k3s, kubernetes


def test_what_is_built_is_of_the_minor_version_of_the_pinned_k3s() -> None:
    assert re.fullmatch(r"v1\.35\.\d+\+k3s\d+", k3s.version())
    assert kubernetes.VERSION.rpartition(".")[0] in k3s.version()


def test_the_module_pins_every_part_of_kubernetes_to_one_version() -> None:
    text = (kubernetes.MODULE / "go.mod").read_text()
    pins = dict(re.findall(r"^\t(k8s\.io/\S+) => \1 v0\.(\S+)$", text, re.MULTILINE))
    assert len(pins) == 31 and set(pins.values()) == {kubernetes.VERSION.removeprefix("1.")}
    assert f"k8s.io/kubernetes v{kubernetes.VERSION}" in text
    sums = (kubernetes.MODULE / "go.sum").read_text()
    assert f"k8s.io/kubernetes v{kubernetes.VERSION} h1:" in sums


def test_another_recipe_goes_to_another_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = kubernetes.binary()
    monkeypatch.setattr(kubernetes, "MODULE", tmp_path)
    (tmp_path / "go.mod").write_text("module other")
    assert kubernetes.binary().parent.parent == usual.parent.parent and kubernetes.binary() != usual


@pytest.mark.parametrize("engine", [k3s, kubernetes])
def test_a_program_of_another_version_does_not_count(tmp_path: Path, engine: object) -> None:
    fake = tmp_path / "program"
    fake.write_text("#!/bin/sh\necho Kubernetes v1.20.0 v1.35.80+k3s1\n")
    fake.chmod(0o755)
    assert not engine.works(fake)  # type: ignore[attr-defined]
    assert not engine.works(tmp_path / "absent")  # type: ignore[attr-defined]


def test_where_the_release_cannot_be_had_kubernetes_stands_in_and_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lock = tmp_path / "artifacts.lock"
    lock.write_text(re.sub(r'url = "https://[^/]+/', 'url = "https://127.0.0.1:1/', artifacts.LOCK.read_text()))
    monkeypatch.setattr(artifacts.gather, "__kwdefaults__", {**artifacts.gather.__kwdefaults__, "lock": lock})
    monkeypatch.setenv("DCCN_CACHE", str(tmp_path))
    monkeypatch.setattr(kubernetes, "install", lambda say: tmp_path / "kubernetes")
    lines: list[str] = []
    assert k3s.install(lines.append) == tmp_path / "kubernetes"
    assert "2 missing" in lines[-1] and f"Kubernetes {kubernetes.VERSION} stands in" in lines[-1]


@pytest.mark.kubernetes
def test_the_one_file_holds_five_programs_and_says_which(tmp_path: Path) -> None:
    import subprocess

    program = kubernetes.binary()
    if not program.is_file():
        pytest.skip(f"Kubernetes is not in {program.parent}: make engines")
    assert kubernetes.works(program)
    for name in ("kube-controller-manager", "kube-scheduler", "kubelet"):
        answer = subprocess.run([program, name, "--version"], capture_output=True, text=True, timeout=60, check=True)
        assert answer.stdout.strip() == f"Kubernetes v{kubernetes.VERSION}", name
    etcd = subprocess.run([program, "etcd", "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert etcd.stdout.startswith("etcd Version: 3.6.5")
    wrong = subprocess.run([program, "kubectl"], capture_output=True, text=True, timeout=60, check=False)
    assert wrong.returncode == 2 and "programs: etcd, kube-apiserver" in wrong.stderr
