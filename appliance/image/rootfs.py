"""The root file system: Debian by mmdebstrap, our overlays and agent on top, and the initramfs that opens it.

Everything that differs from run to run is taken out (caches, logs, ids, byte code with times), so that the same package
list gives the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.image import agent_tree, k3s, nvidia, sbom
from appliance.image import packages as packages_lock
from appliance.image.additions import Additions
from appliance.image.packages import Package
from appliance.image.profile import K3S, Profile
from appliance.image.run import run
from appliance.releases import trust
from chain.errors import Faulty

OVERLAYS: Final = Path(__file__).parent / "overlay"
AGENT_UNIT: Final = agent_tree.SOURCE / "deploy/dccn-agent.service"
SBOM: Final = "usr/share/doc/dccn/sbom.cdx.json"
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
    """A finished tree and what boots it."""

    tree: Path
    kernel: bytes
    initrd: bytes
    kernel_release: str
    stub: bytes
    boot_loader: bytes


def base(profile: Profile, cache: Path, epoch_s: int, log: Path) -> tuple[Path, list[Package]]:
    """Debian with the profile's packages as a tar, made once for one list of packages; and what it is made of."""
    suites = (profile.suite, f"{profile.suite}-updates")
    wanted = sorted({*profile.packages, *profile.build_packages, profile.kernel})
    hooks = nvidia.BASE_HOOKS if profile.nvidia else ()
    components = " ".join(profile.components)
    sources = [f"deb {ARCHIVE} {suite} {components}" for suite in suites]
    sources.append(f"deb {SECURITY_ARCHIVE} {profile.suite}-security {components}")
    recipe = "\n".join([profile.suite, *wanted, *sources, *DPKG_OPTIONS, *hooks, str(epoch_s)])
    tar = cache / f"base-{profile.name}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"
    cache.mkdir(parents=True, exist_ok=True)
    with tar.with_suffix(".busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)  # another build on this machine may be making the same
        return tar, _made(tar, profile, wanted, sources, hooks, epoch_s, log)


def _made(
    tar: Path,
    profile: Profile,
    wanted: list[str],
    sources: list[str],
    hooks: Sequence[str],
    epoch_s: int,
    log: Path,
) -> list[Package]:
    lock = tar.with_suffix(".lock")
    if tar.exists() and lock.exists():
        return packages_lock.read(lock)
    options = [f"--dpkgopt={each}" for each in DPKG_OPTIONS]
    apt = ['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"']
    include = f"--include={','.join(wanted)}"
    unfinished, notes = tar.with_suffix(".unfinished.tar"), tar.with_suffix(".notes")
    # Merged from the start, the system needs no program to merge it, and so no Perl, a seventh of the root.
    run(
        [
            "mmdebstrap",
            "--variant=minbase",
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
            include,
            *apt,
            *options,
            *hooks,
            *_notes(notes),
            profile.suite,
            unfinished,
            *sources,
        ],
        env={"SOURCE_DATE_EPOCH": str(epoch_s)},
        log=log,
    )
    packages = _noted(notes)
    lock.write_text(packages_lock.write(packages))
    unfinished.replace(tar)
    return packages


def _notes(folder: Path) -> list[str]:
    """Hooks that bring out the archive's indices and the list of what was installed, before they are cleaned away."""
    folder.mkdir(parents=True, exist_ok=True)
    listing = "chroot \"$1\" dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\\n'"
    return [
        f"--customize-hook={listing} > {shlex.quote(str(folder / 'installed'))}",
        f"--customize-hook=copy-out /var/lib/apt/lists {shlex.quote(str(folder))}",
    ]


def _noted(folder: Path) -> list[Package]:
    rows = [line.split() for line in (folder / "installed").read_text().splitlines()]
    indices = (path.read_text("utf-8") for path in sorted((folder / "lists").glob("*_Packages")))
    packages = packages_lock.locked([(name, version, architecture) for name, version, architecture in rows], indices)
    shutil.rmtree(folder)
    return packages


def build(
    profile: Profile,
    base_tar: Path,
    work: Path,
    packages: list[Package],
    additions: Additions,
    *,
    version: str,
    epoch_s: int,
    log: Path,
    trusted_root: bytes | None = None,
) -> Root:
    """Unpack the base, put everything in its place and make the initramfs; `work` must be on a real file system."""
    tree = work / "root"
    tree.mkdir(parents=True)
    run(["tar", "--extract", "--preserve-permissions", "--numeric-owner", "--file", base_tar, "--directory", tree])
    has_k3s = K3S in additions.parts
    if profile.nvidia:
        with _mounted(tree):
            packages = nvidia.install(tree, profile, packages, additions, epoch_s=epoch_s, log=log)
    agent_tree.install(tree / "usr/lib/dccn", work, k3s.LIBRARIES if has_k3s else ())
    if agent_tree.HARDWARE_TESTS_OVERLAY in profile.overlays:
        agent_tree.install_hardware_tests(tree / "usr/lib/dccn")
    for name in (*profile.overlays, *((k3s.OVERLAY,) if has_k3s else ())):
        _overlay(OVERLAYS / name, tree)
    if has_k3s:
        k3s.install(tree, additions.files)
    _write(tree / "usr/lib/python3/dist-packages/dccn.pth", "/usr/lib/dccn\n")
    shutil.copyfile(AGENT_UNIT, tree / "usr/lib/systemd/system/dccn-agent.service")
    _identify(tree, profile, version)
    if trusted_root is not None:
        _write(tree / trust.PLACE, trusted_root.decode())
    _remove(tree, profile.left_out)
    bill = sbom.document(
        name=f"dccn-{profile.name}",
        version=version,
        suite=profile.suite,
        packages=packages,
        libraries=agent_tree.libraries(tree / "usr/lib/dccn"),
        artifacts=additions.files,
        epoch_s=epoch_s,
    )
    (tree / SBOM).parent.mkdir(parents=True, exist_ok=True)
    (tree / SBOM).write_bytes(bill)
    with _mounted(tree):
        run(["chroot", tree, "systemd-sysusers"], env={"SOURCE_DATE_EPOCH": str(epoch_s)}, log=log)
        run(["chroot", tree, "depmod", "--all", _kernel_release(tree)], log=log)
        units = (*profile.enabled_units, *(k3s.ENABLED_UNITS if has_k3s else ()))
        run(["chroot", tree, "systemctl", "enable", *units], log=log)
        run(["chroot", tree, "systemctl", "mask", *profile.masked_units], log=log)
        _compile(tree, log)
        kernel_release, kernel, initrd = _initramfs(tree, profile, epoch_s, log)
    boot = tree / "usr/lib/systemd/boot/efi"
    stub, loader = (boot / "linuxx64.efi.stub").read_bytes(), (boot / "systemd-bootx64.efi").read_bytes()
    _clean(tree)
    return Root(tree, kernel, initrd, kernel_release, stub, loader)


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


def _compile(tree: Path, log: Path) -> None:
    """Byte code whose validity no time decides: the root is read-only, so none can be written later."""
    options = ["-q", "--invalidation-mode", "unchecked-hash"]
    run(["chroot", tree, "python3", "-m", "compileall", *options, "/usr/lib/dccn"], log=log)


def _initramfs(tree: Path, profile: Profile, epoch_s: int, log: Path) -> tuple[str, bytes, bytes]:
    release = _kernel_release(tree)
    folder = tree / "etc/initramfs-tools"
    _write(folder / "modules", "\n".join(profile.initrd_modules) + "\n")
    _write(folder / "conf.d/dccn", "MODULES=list\nCOMPRESS=zstd\nRESUME=none\nFSTYPE=erofs\nBOOT=dccn\n")
    for name, place in (("hook", "hooks/dccn"), ("boot", "scripts/dccn")):
        shutil.copyfile(INITRAMFS / name, folder / place)
        (folder / place).chmod(0o755)
    image = f"boot/initrd.img-{release}"
    (tree / image).unlink(missing_ok=True)
    run(
        ["chroot", tree, "mkinitramfs", "-o", f"/{image}", release],
        env={"SOURCE_DATE_EPOCH": str(epoch_s)},
        log=log,
    )
    return release, (tree / f"boot/vmlinuz-{release}").read_bytes(), (tree / image).read_bytes()


def _kernel_release(tree: Path) -> str:
    releases = [path.name for path in (tree / "usr/lib/modules").iterdir()]
    if len(releases) != 1:
        raise Faulty("build_failed", f"the image must have one kernel, not {releases}")
    return releases[0]


def _clean(tree: Path) -> None:
    _remove(tree, (*TRACES, "boot/*"))
    # Empty, not absent: systemd then fills it in memory and takes this boot for an ordinary one.
    _write(tree / "etc/machine-id", "")
    for path in sorted(tree.rglob("__pycache__")):
        if path.is_dir() and "usr/lib/dccn" not in str(path):
            shutil.rmtree(path)


def _remove(tree: Path, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        for path in sorted(tree.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif not path.is_symlink():
                path.unlink()


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
