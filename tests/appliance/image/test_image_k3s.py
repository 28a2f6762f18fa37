"""k3s in an image: where its files go, how its own unit is confined, and that read-only folders do not stop it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from appliance.image import build, k3s, profile, sbom
from appliance.image.artifacts import Artifact
from chain.errors import Malformed, Unavailable

OVERLAY = Path(__file__).parents[3] / "appliance/image/overlay"
LIBRARY = OVERLAY / "k3s/usr/lib"
ACCESS = LIBRARY / "systemd/system/dccn-cluster-access.service"
MOST_EXPOSED = 22
"""Tenths of systemd's scale from 0 (confined) to 10: it reads root's kubeconfig and gives a file to the agent."""


def artifact(name: str, part: str, file: str) -> Artifact:
    url = f"https://example.org/{file}"
    return Artifact(name=name, version="1", part=part, url=url, sha256="0" * 64, licence="Apache-2.0")


@pytest.fixture
def files(tmp_path: Path) -> dict[Artifact, Path]:
    found = {
        artifact("k3s", "k3s", "k3s"): tmp_path / "1",
        artifact("images", "k3s", "images-amd64.tar.zst"): tmp_path / "2",
        artifact("toolkit", "container-toolkit", "toolkit.deb"): tmp_path / "3",
    }
    for each, path in found.items():
        path.write_text(each.name)
    return found


def test_the_program_and_its_images_are_put_where_k3s_finds_them(tmp_path: Path, files: dict[Artifact, Path]) -> None:
    tree = tmp_path / "tree"
    (tree / "usr/lib/tmpfiles.d").mkdir(parents=True)
    k3s.install(tree, files)
    assert (tree / "usr/local/bin/k3s").read_text() == "k3s"
    assert (tree / "usr/local/bin/k3s").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in (tree / k3s.IMAGES).iterdir()] == ["images-amd64.tar.zst"]
    link = "/var/lib/rancher/k3s/agent/images/images-amd64.tar.zst"
    assert (tree / k3s.LINKS).read_text() == f"L+ {link} - - - - /usr/lib/dccn/k3s-images/images-amd64.tar.zst\n"


def test_whatever_k3s_writes_to_is_on_the_data_partition() -> None:
    settings = yaml.safe_load((LIBRARY / "dccn/k3s.yaml").read_text())
    made = [line.split()[1] for line in (LIBRARY / "tmpfiles.d/k3s.conf").read_text().splitlines() if line[0] == "d"]
    assert str((OVERLAY / "k3s/etc/rancher").readlink()) == "../var/lib/rancher/etc"
    assert {"/var/lib/rancher/etc", k3s.IMPORTED_FROM} <= set(made)
    folders = re.findall(r"volume-plugin-dir=(\S+)'", str(settings))
    assert len(folders) == 2 and all(folder.startswith("/var/lib/rancher/") for folder in folders)
    assert "data-dir" not in settings  # its default, /var/lib/rancher/k3s


def test_the_node_stays_the_same_whatever_the_network_is() -> None:
    settings = yaml.safe_load((LIBRARY / "dccn/k3s.yaml").read_text())
    network = (LIBRARY / "systemd/network/30-dccn0.network").read_text()
    assert f"Address={settings['node-ip']}/32" in network and f"Name={settings['flannel-iface']}" in network
    assert "Kind=!*" in (OVERLAY / "common/usr/lib/systemd/network/80-dccn.network").read_text()
    assert settings["write-kubeconfig-mode"] == "0600"


def test_every_unit_that_is_enabled_is_there() -> None:
    for unit in k3s.ENABLED_UNITS:
        text = (LIBRARY / "systemd/system" / unit).read_text()
        assert "[Install]" in text, unit
    assert (
        f"ExecStart=/{k3s.PROGRAM} server --config /usr/lib/dccn/k3s.yaml"
        in (LIBRARY / "systemd/system/k3s.service").read_text()
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_giving_the_agent_its_access_is_as_confined_as_that_allows() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", ACCESS]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stdout.splitlines()[-1]


def test_what_it_is_made_of_names_its_artifacts_with_licence_and_source(files: dict[Artifact, Path]) -> None:
    bill = sbom.document(
        name="n", version="1", suite="bookworm", packages=(), libraries={}, artifacts=files, epoch_s=0
    ).decode()
    assert bill.count('"expression": "Apache-2.0"') == 3 and "https://example.org/images-amd64.tar.zst" in bill


def test_a_profile_takes_the_lists_of_the_one_that_it_is_based_on() -> None:
    plain, nvidia = profile.load("x86-nogpu"), profile.load("x86-nvidia")
    assert nvidia.packages[: len(plain.packages)] == plain.packages
    assert nvidia.kernel == plain.kernel and nvidia.initrd_modules == plain.initrd_modules
    assert nvidia.parts == {"k3s", "container-toolkit"} and plain.parts == {"k3s"}
    assert profile.load("qemu-test").parts == set()


def test_all_that_an_image_lacks_is_told_before_anything_is_built(tmp_path: Path) -> None:
    def make(**options: object) -> None:
        build.build(
            profile.load("x86-nvidia"), tmp_path / "out", tmp_path, version="1", epoch_s=0, say=print, **options
        )  # type: ignore[arg-type]

    with pytest.raises(Unavailable) as error:
        make(files=tmp_path)
    assert error.value.message.count("\n  ") == 6 and "k3s-airgap-images v1.35" in error.value.message
    assert "--without" in error.value.remedy
    with pytest.raises(Unavailable, match="4 missing"):
        make(files=tmp_path, without=["k3s"])
    with pytest.raises(Malformed, match="there is no part 'systemd' to leave out"):
        make(without=["systemd"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == []
