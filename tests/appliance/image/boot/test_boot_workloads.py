"""An appliance with Kubernetes in it: read-only root, packet filter, own node address; a pod runs, the node is emptied.

In the place of k3s is a stand-in of the same minor version, see `k3s_stand_in.py`: everything around it is the image's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.image import build, oci, profile
from chain.engines.cometbft.binary import cache
from tests.appliance.image.boot.conftest import EPOCH_S, NEEDED
from tests.appliance.image.boot.machine import Machine
from tests.kubernetes_cluster import BUSYBOX, IMAGE
from tools.engines import kubernetes

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(1800)]
STAND_IN = Path(__file__).with_name("k3s_stand_in.py")
BOOT_S, STEP_S = 600, 900
LOCK = """
[[artifact]]
name = "{name}"
version = "1"
part = "k3s"
url = "https://example.org/{file}"
sha256 = "{sha256}"
licence = "Apache-2.0"
"""


@pytest.fixture(scope="module")
def image_with_kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.geteuid() or not kubernetes.binary().is_file():
        pytest.skip(f"takes root, Kubernetes (make engines) and {', '.join(missing) or 'nothing more'}")
    named = os.environ.get("DCCN_TEST_KUBERNETES_IMAGE")
    if named:
        return Path(named)
    folder = tmp_path_factory.mktemp("with-kubernetes")
    files = folder / "files"
    files.mkdir()
    with (files / "k3s").open("wb") as file:
        file.write(b"#!/usr/bin/python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(STAND_IN, "__main__.py")
            archive.write(kubernetes.binary(), "kubernetes")
    links = {f"bin/{name}": "busybox" for name in ("sh", "sleep", "nc", "echo")}
    command = ["/bin/sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1; done"]
    packed = oci.archive(IMAGE, {"bin/busybox": BUSYBOX.read_bytes()}, command=command, links=links)
    (files / "images.tar").write_bytes(packed)
    lock = folder / "artifacts.lock"
    lock.write_text(
        "".join(
            LOCK.format(name=path.stem, file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(files.iterdir())
        )
    )
    plain = profile.load("qemu-test")
    changed = replace(
        plain,
        k3s=True,
        packages=(*plain.packages, "containerd", "runc", "containernetworking-plugins"),
        # An emulated Kubernetes takes longer to start than the judgement of a boot waits for it.
        masked_units=(*plain.masked_units, "containerd.service", "dccn-healthy.service"),
        root_mib=640,
        hash_mib=8,
    )
    built = build.build(
        changed, folder, cache() / "image", version="1", epoch_s=EPOCH_S, say=print, compress=False,
        files=files, artifacts_lock=lock,
    )  # fmt: skip
    return Path(built.image)


def test_an_image_with_kubernetes_is_built(image_with_kubernetes: Path) -> None:
    assert image_with_kubernetes.stat().st_blocks * 512 < 700 << 20


def test_a_pod_runs_on_an_appliance_and_its_node_is_emptied_and_opened(
    image_with_kubernetes: Path, tmp_path: Path
) -> None:
    with Machine(tmp_path / "machine", image_with_kubernetes, devices=("-m", "3072")) as machine:
        with machine.disk.open("r+b") as file:
            file.truncate(6 << 30)
        machine.switch_on()
        machine.event("control_plane_ready", BOOT_S)
        ended = machine.event("trial_ended", STEP_S)
        assert ended["status"] == 0, ended
        said = json.loads(ended["said"])
        assert said == {"node": "box", "available": 1, "reason": "", "state": "running"}
        assert machine.event("pod_log", STEP_S)["text"].strip() == "reached"
        drained = machine.until(lambda lines: asked(lines, "dccn-drain.service"), STEP_S, "drained node")
        assert (drained["status"], drained["unschedulable"]) == (0, True)
        opened = machine.until(lambda lines: asked(lines, "dccn-resume.service"), STEP_S, "reopened node")
        assert (opened["status"], opened["unschedulable"]) == (0, False)
    print("a pod on an appliance in an emulator:", said)


def asked(lines: list[str], unit: str) -> dict[str, object] | None:
    """What the stand-in saw after it started a unit."""
    for line in lines:
        start = line.find('{"event": "node_asked"')
        if start >= 0 and unit in line:
            found: dict[str, object] = json.loads(line[start:])
            return found
    return None
