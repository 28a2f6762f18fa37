"""The driver's kernel modules: signed with one lasting key of the builder's, for one kernel and one compiler."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance.image import module_signing, nvidia, packages, profile, rootfs, secure_boot
from appliance.image.additions import Additions
from appliance.image.artifacts import Artifact
from appliance.image.module_signing import ModuleKey
from appliance.image.packages import Package
from chain.engines.cometbft.binary import cache
from chain.errors import Faulty

EPOCH_S = 1_767_225_600
MAGIC = b"~Module signature appended~\n"
MODULES = {f"nvidia-current{each}.ko" for each in ("", "-drm", "-modeset", "-peermem", "-uvm")}
# gcc-12-base belongs to the libraries of every program; the compiler itself is gcc and gcc-12.
TOOLCHAIN = ("make", "dkms", "linux-headers", "linux-kbuild", "linux-compiler", "cpp", "binutils", "libc6-dev")


def test_the_signing_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    signer = module_signing.of_builder(tmp_path / "keys")
    key, certificate = signer.key, signer.certificate
    assert key.stat().st_mode & 0o777 == 0o600
    first = key.read_bytes(), certificate.read_bytes()
    assert module_signing.of_builder(tmp_path / "keys") == signer
    assert (key.read_bytes(), certificate.read_bytes()) == first
    public = x509.load_der_x509_certificate(first[1]).public_key()
    private = serialization.load_pem_private_key(first[0], None)
    der = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert public.public_bytes(*der) == private.public_key().public_bytes(*der)


def test_modules_are_kept_for_one_compiler_one_kernel_and_one_key(tmp_path: Path) -> None:
    one = module_signing.of_builder(tmp_path / "one")
    two = module_signing.of_secure_boot(secure_boot.make_keys(tmp_path / "two"))
    gcc = Package("gcc-12", "12.2.0-14", "amd64", "a" * 64)
    newer = Package("gcc-12", "12.2.0-15", "amd64", "b" * 64)
    other = Package("bash", "5", "amd64", "c" * 64)

    def place(made_by: list[Package], release: str, signer: ModuleKey) -> Path:
        return nvidia.built(made_by, release, signer, tmp_path, EPOCH_S)

    usual = place([gcc], "6.1", one)
    assert place([gcc, other], "6.1", one) == usual
    assert len({usual, place([newer], "6.1", one), place([gcc], "6.2", one), place([gcc], "6.1", two)}) == 4


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((), "one kernel with its headers was expected, there are \\[\\]"),
        (("usr/lib/modules/6.1",), "there are \\['6.1'\\]"),
        (("usr/lib/modules/6.1", "usr/lib/modules/6.2"), "one kernel"),
    ],
)
def test_a_tree_without_one_kernel_and_its_headers_is_refused(tmp_path: Path, made: tuple[str, ...], said: str) -> None:
    (tmp_path / "usr/lib/modules").mkdir(parents=True)
    for folder in made:
        (tmp_path / folder).mkdir()
    additions = Additions({}, tmp_path, lambda: module_signing.of_builder(tmp_path))
    with pytest.raises(Faulty, match=said):
        nvidia.install(tmp_path, profile.load("x86-nvidia"), [], additions, epoch_s=0, log=tmp_path / "log")


@pytest.mark.driver
@pytest.mark.timeout(3600)
def test_the_tree_of_the_nvidia_profile_has_signed_modules_and_no_compiler(tmp_path: Path) -> None:
    if os.geteuid() or shutil.which("mmdebstrap") is None:
        pytest.skip("building an image takes root and mmdebstrap: make image-tools")
    wanted = profile.load("x86-nvidia")
    log = tmp_path / "log"
    signer = module_signing.of_builder(cache() / "keys")
    tar, debian = rootfs.base(wanted, cache() / "image", EPOCH_S, log)
    toolkit = stand_in_for_the_toolkit(tmp_path)
    additions = Additions({toolkit: tmp_path / toolkit.file}, cache() / "image", lambda: signer)
    root = rootfs.build(wanted, tar, tmp_path, debian, additions, version="1", epoch_s=EPOCH_S, log=log)
    folder = root.tree / "usr/lib/modules" / root.kernel_release / nvidia.MODULES
    assert {path.name for path in folder.glob("*.ko")} == MODULES
    for path in folder.glob("*.ko"):
        check_signature(path, signer, tmp_path)
        told = within(root.tree, "modinfo", "--field", "vermagic", f"/{path.relative_to(root.tree)}")
        assert told.split()[0] == root.kernel_release, path.name
    left = within(root.tree, "dpkg-query", "--show", "--showformat", "${Package}\n").split()
    assert not [name for name in left if name.startswith(TOOLCHAIN)] and not {"gcc", "gcc-12"} & set(left)
    assert not list((root.tree / "usr/src").iterdir()) and not (root.tree / "var/lib/dkms").exists()
    assert b"PRIVATE KEY" not in b"".join(path.read_bytes() for path in root.tree.glob("run/**/*") if path.is_file())
    assert (root.tree / nvidia.CERTIFICATE).read_bytes() == signer.certificate_der()
    assert "NVIDIA" in (root.tree / nvidia.LICENCE).read_text()
    assert list((root.tree / "usr/lib/firmware/nvidia").rglob("gsp*.bin"))
    aliases = within(root.tree, "modprobe", "--show-depends", "--set-version", root.kernel_release, "nvidia")
    assert "nvidia-current" in aliases
    assert "stand-in" in left and (root.tree / "usr/bin/nvidia-container-runtime").is_file()
    names = {package.name for package in packages.read(tar.with_suffix(".lock"))}
    assert "gcc-12" in names, "the lock of the base names the compiler that made the modules"


def stand_in_for_the_toolkit(folder: Path) -> Artifact:
    """A package in the place of NVIDIA's own, whose publisher's archive is no part of a test."""
    made = folder / "stand-in"
    (made / "DEBIAN").mkdir(parents=True)
    (made / "usr/bin").mkdir(parents=True)
    (made / "usr/bin/nvidia-container-runtime").write_text("#!/bin/sh\n")
    control = "Package: stand-in\nVersion: 1\nArchitecture: amd64\nMaintainer: none\nDescription: for a test\n"
    (made / "DEBIAN/control").write_text(control)
    target = folder / "stand-in_1_amd64.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", made, target], check=True, capture_output=True)
    url, sha256 = f"https://example.org/{target.name}", hashlib.sha256(target.read_bytes()).hexdigest()
    part = profile.CONTAINER_TOOLKIT
    return Artifact(name="stand-in", version="1", part=part, url=url, sha256=sha256, licence="MIT")


def within(tree: Path, *command: str) -> str:
    """What a program of the image itself says."""
    return subprocess.run(["chroot", tree, *command], check=True, capture_output=True, text=True).stdout


def check_signature(module: Path, signer: ModuleKey, work: Path) -> None:
    """As the kernel does: PKCS#7 over all bytes before it, by the key of our certificate."""
    content = module.read_bytes()
    assert content.endswith(MAGIC), f"{module.name} is not signed"
    end = len(content) - len(MAGIC) - 12
    (length,) = struct.unpack(">I", content[end + 8 : end + 12])
    (work / "signed").write_bytes(content[: end - length])
    (work / "signature").write_bytes(content[end - length : end])
    certificate = x509.load_der_x509_certificate(signer.certificate_der())
    pem = work / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    command = [
        *("openssl", "smime", "-verify", "-binary", "-inform", "DER", "-noverify", "-nointern"),
        *("-in", work / "signature", "-content", work / "signed", "-certfile", pem, "-out", "/dev/null"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{module.name}: {done.stderr}"
