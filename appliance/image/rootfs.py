"""The root file system: Debian by mmdebstrap, our overlays and agent on top, and the initramfs that opens it.

Everything that differs from run to run is taken out (caches, logs, ids, byte code with times), so that the same package
list gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.image import agent_tree
from appliance.image.profile import Profile
from appliance.image.run import run
from chain.errors import Faulty

OVERLAYS: Final = Path(__file__).parent / "overlay"
AGENT_UNIT: Final = agent_tree.SOURCE / "deploy/dccn-agent.service"
INITRAMFS: Final = Path(__file__).parent / "initramfs"
ARCHIVE: Final = "http://deb.debian.org/debian"
SECURITY_ARCHIVE: Final = "http://deb.debian.org/debian-security"
DPKG_OPTIONS: Final = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
TRACES: Final = (
    "var/log/*",
    "var/cache/*",
    "var/lib/apt/lists/*",
    "var/lib/systemd/*",
    "var/lib/initramfs-tools",
    "tmp/*",
    "run/*",
    "etc/machine-id",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/ssh",
)


@dataclass(frozen=True, slots=True)
class Root:
    """A finished tree and what boots it; `packages` maps a package to its version."""

    tree: Path
    kernel: bytes
    initrd: bytes
    kernel_release: str
    stub: bytes
    boot_loader: bytes
    packages: dict[str, str]


def base(profile: Profile, cache: Path, epoch_s: int, log: Path) -> Path:
    """Debian with the profile's packages as a tar, made once for one list of packages."""
    suites = (profile.suite, f"{profile.suite}-updates")
    packages = sorted({*profile.packages, profile.kernel})
    components = " ".join(profile.components)
    sources = [f"deb {ARCHIVE} {suite} {components}" for suite in suites]
    sources.append(f"deb {SECURITY_ARCHIVE} {profile.suite}-security {components}")
    recipe = "\n".join([profile.suite, *packages, *sources, *DPKG_OPTIONS, str(epoch_s)])
    tar = cache / f"base-{profile.name}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"
    if tar.exists():
        return tar
    cache.mkdir(parents=True, exist_ok=True)
    options = [f"--dpkgopt={each}" for each in DPKG_OPTIONS]
    apt = ['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"']
    include = f"--include={','.join(packages)}"
    unfinished = tar.with_suffix(".unfinished.tar")
    run(
        ["mmdebstrap", "--variant=minbase", include, *apt, *options, profile.suite, unfinished, *sources],
        env={"SOURCE_DATE_EPOCH": str(epoch_s)},
        log=log,
    )
    unfinished.replace(tar)
    return tar


def build(profile: Profile, base_tar: Path, work: Path, *, version: str, epoch_s: int, log: Path) -> Root:
    """Unpack the base, put everything in its place and make the initramfs; `work` must be on a real file system."""
    tree = work / "root"
    tree.mkdir(parents=True)
    run(["tar", "--extract", "--preserve-permissions", "--numeric-owner", "--file", base_tar, "--directory", tree])
    agent_tree.install(tree / "usr/lib/dccn", work)
    for name in profile.overlays:
        _overlay(OVERLAYS / name, tree)
    _write(tree / "usr/lib/python3/dist-packages/dccn.pth", "/usr/lib/dccn\n")
    shutil.copyfile(AGENT_UNIT, tree / "usr/lib/systemd/system/dccn-agent.service")
    _identify(tree, profile, version)
    packages = _packages(tree)
    with _mounted(tree):
        run(["chroot", tree, "systemctl", "enable", *profile.enabled_units], log=log)
        run(["chroot", tree, "systemctl", "mask", *profile.masked_units], log=log)
        _compile(tree, log)
        kernel_release, kernel, initrd = _initramfs(tree, profile, epoch_s, log)
    boot = tree / "usr/lib/systemd/boot/efi"
    stub, loader = (boot / "linuxx64.efi.stub").read_bytes(), (boot / "systemd-bootx64.efi").read_bytes()
    _clean(tree)
    return Root(tree, kernel, initrd, kernel_release, stub, loader, packages)


def _overlay(source: Path, tree: Path) -> None:
    """Copy an overlay: folders 0755, files 0644, programs 0755, whatever the checkout's own modes are."""
    for path in sorted(source.rglob("*")):
        place = tree / path.relative_to(source)
        if path.is_symlink():
            place.unlink(missing_ok=True)
            place.symlink_to(path.readlink())
        elif path.is_dir():
            place.mkdir(exist_ok=True)
            place.chmod(0o755)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            place.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def _identify(tree: Path, profile: Profile, version: str) -> None:
    """What this system calls itself, and the links that a read-only /etc needs."""
    release = (tree / "usr/lib/os-release").read_text("utf-8").replace('PRETTY_NAME="', 'PRETTY_NAME="dccn on ')
    _write(tree / "usr/lib/os-release", f"{release}IMAGE_ID=dccn\nIMAGE_VERSION={version}\nVARIANT_ID={profile.name}\n")
    for path, target in (
        ("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
        ("etc/mtab", "../proc/self/mounts"),
    ):
        (tree / path).unlink(missing_ok=True)
        (tree / path).symlink_to(target)
    for folder in ("efi", "boot"):
        (tree / folder).mkdir(exist_ok=True)


def _packages(tree: Path) -> dict[str, str]:
    listing = run(["chroot", tree, "dpkg-query", "--show", "--showformat", "${Package}\t${Version}\n"])
    return dict(line.split("\t") for line in listing.decode().splitlines())


def _compile(tree: Path, log: Path) -> None:
    """Byte code whose validity no time decides: the root is read-only, so none can be written later."""
    options = ["-q", "--invalidation-mode", "unchecked-hash"]
    run(["chroot", tree, "python3", "-m", "compileall", *options, "/usr/lib/dccn"], log=log)


def _initramfs(tree: Path, profile: Profile, epoch_s: int, log: Path) -> tuple[str, bytes, bytes]:
    releases = [path.name for path in (tree / "usr/lib/modules").iterdir()]
    if len(releases) != 1:
        raise Faulty("build_failed", f"the image must have one kernel, not {releases}")
    folder = tree / "etc/initramfs-tools"
    _write(folder / "modules", "\n".join(profile.initrd_modules) + "\n")
    _write(folder / "conf.d/dccn", "MODULES=list\nCOMPRESS=zstd\nRESUME=none\nFSTYPE=erofs\nBOOT=dccn\n")
    for name, place in (("hook", "hooks/dccn"), ("boot", "scripts/dccn")):
        shutil.copyfile(INITRAMFS / name, folder / place)
        (folder / place).chmod(0o755)
    image = f"boot/initrd.img-{releases[0]}"
    (tree / image).unlink(missing_ok=True)
    run(
        ["chroot", tree, "mkinitramfs", "-o", f"/{image}", releases[0]],
        env={"SOURCE_DATE_EPOCH": str(epoch_s)},
        log=log,
    )
    return releases[0], (tree / f"boot/vmlinuz-{releases[0]}").read_bytes(), (tree / image).read_bytes()


def _clean(tree: Path) -> None:
    for pattern in (*TRACES, "boot/*"):
        for path in sorted(tree.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif not path.is_symlink():
                path.unlink()
    # Empty, not absent: systemd then fills it in memory and takes this boot for an ordinary one.
    _write(tree / "etc/machine-id", "")
    for path in sorted(tree.rglob("__pycache__")):
        if path.is_dir() and "usr/lib/dccn" not in str(path):
            shutil.rmtree(path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


@contextmanager
def _mounted(tree: Path) -> Iterator[None]:
    """The kernel's own file systems inside the tree, for the programs that run there."""
    places = [("proc", tree / "proc"), ("sysfs", tree / "sys")]
    done = []
    try:
        for kind, place in places:
            run(["mount", "-t", kind, kind, place])
            done.append(place)
        run(["mount", "--bind", "/dev", tree / "dev"])
        done.append(tree / "dev")
        yield
    finally:
        for place in reversed(done):
            run(["umount", place])
