"""NVIDIA's driver: its kernel modules built in the image's own chroot, signed, kept; the toolchain taken out again.

The modules depend on kernel, driver and signing key alone, so they are built once and kept in the builder's cache.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Final

from appliance.image.additions import Additions
from appliance.image.module_signing import ModuleKey
from appliance.image.packages import Package
from appliance.image.profile import CONTAINER_TOOLKIT, Profile
from appliance.image.run import run
from chain.errors import Faulty

# Debian builds modules as soon as their source is installed, and signs them with a key that it leaves in the image.
BASE_HOOKS: Final = ('--essential-hook=mkdir -p "$1/etc/dkms" && touch "$1/etc/dkms/no-autoinstall"',)
MODULE: Final = "nvidia-current"
CERTIFICATE: Final = "usr/share/dccn/module-signing.der"
LICENCE: Final = "usr/share/doc/dccn/nvidia-licence"
LICENCE_SOURCE: Final = "usr/share/doc/libcuda1/copyright"
HEADERS: Final = ("linux-headers-", "linux-kbuild-", "linux-compiler-")
"""Never removed by apt itself, which takes them for part of a kernel."""
TOOLCHAIN: Final = (*HEADERS, "binutils", "cpp", "dkms", "libc6-dev", "make", "nvidia-kernel-dkms")
MODULES: Final = "updates/dkms"


def install(
    tree: Path, profile: Profile, packages: list[Package], additions: Additions, *, epoch_s: int, log: Path
) -> list[Package]:
    """Driver modules into a tree that has the toolchain, then the toolchain out of it; the packages that are left.

    The container toolkit comes with them if its files are among the additions. Raises Faulty `build_failed` with the
    compiler's or Debian's last words.
    """
    release = _kernel_release(tree)
    signer = additions.module_key()
    kept = built(packages, release, signer, additions.cache, epoch_s)
    place = tree / "usr/lib/modules" / release / MODULES
    if not kept.is_file():
        _compile(tree, release, signer, epoch_s=epoch_s, log=log)
        _keep(place, kept, epoch_s)
    _purge(tree, profile, log)
    place.mkdir(parents=True, exist_ok=True)
    run(["tar", "--extract", "--file", kept, "--directory", place])
    run(["chroot", tree, "depmod", release], log=log)
    _made(tree / CERTIFICATE).write_bytes(signer.certificate_der())
    shutil.copyfile(tree / LICENCE_SOURCE, _made(tree / LICENCE))
    toolkit = [path for artifact, path in additions.files.items() if artifact.part == CONTAINER_TOOLKIT]
    if toolkit:
        _install_debs(tree, toolkit, log)
    left = set(_installed(tree))
    if lacking := sorted({*profile.packages, profile.kernel} - left):
        raise Faulty("build_failed", f"with the toolchain went what is needed: {', '.join(lacking)}")
    return [package for package in packages if package.name in left]


def built(packages: list[Package], release: str, signer: ModuleKey, cache: Path, epoch_s: int) -> Path:
    """Where modules of this source, kernel, compiler and key are kept."""
    makers = [
        each for each in packages if each.name.startswith(("nvidia-kernel", "linux-", "gcc-", "binutils", "dkms"))
    ]
    signed_by = hashlib.sha256(signer.certificate_der()).hexdigest()
    recipe = "\n".join([*map(str, makers), release, signed_by, str(epoch_s)])
    return cache / f"modules-nvidia-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"


def _keep(modules: Path, target: Path, epoch_s: int) -> None:
    names = sorted(path.name for path in modules.glob("*.ko"))
    options = ["--sort=name", f"--mtime=@{epoch_s}", "--owner=0", "--group=0", "--numeric-owner", "--mode=0644"]
    unfinished = target.with_suffix(".unfinished")
    run(["tar", "--create", *options, "--file", unfinished, "--directory", modules, *names])
    unfinished.replace(target)


def _purge(tree: Path, profile: Profile, log: Path) -> None:
    """What only the build needed, and what came with it; apt knows which packages nobody asked for."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "INITRD": "No"}
    # Otherwise what somebody merely suggests stays, and with it the compiler.
    options = ["-o", "APT::AutoRemove::RecommendsImportant=false", "-o", "APT::AutoRemove::SuggestsImportant=false"]
    apt: list[str | Path] = ["chroot", tree, "apt-get", "--yes", "--purge", *options]
    headers = [name for name in _installed(tree) if name.startswith(HEADERS)]
    run([*apt, "purge", *profile.build_packages, *headers], env=quiet, log=log)
    run([*apt, "autoremove"], env=quiet, log=log)
    if left := [name for name in _installed(tree) if name.startswith(TOOLCHAIN)]:
        raise Faulty("build_failed", f"of the toolchain are still there: {', '.join(left)}")


def _installed(tree: Path) -> list[str]:
    return run(["chroot", tree, "dpkg-query", "--show", "--showformat", "${Package}\\n"]).decode().split()


def _install_debs(tree: Path, debs: list[Path], log: Path) -> None:
    folder = tree / "run/debs"
    folder.mkdir()
    try:
        for path in debs:
            shutil.copyfile(path, folder / f"{path.stem}.deb")
        names = [f"/run/debs/{path.stem}.deb" for path in debs]
        run(["chroot", tree, "dpkg", "--install", *names], env={"DEBIAN_FRONTEND": "noninteractive"}, log=log)
    finally:
        shutil.rmtree(folder)


def _compile(tree: Path, release: str, signer: ModuleKey, *, epoch_s: int, log: Path) -> None:
    """Build, sign and install with Debian's own tool, which knows Debian's patches for this kernel."""
    secret = tree / "run/module-signing"
    secret.mkdir(parents=True)
    try:
        shutil.copyfile(signer.key, secret / "key")
        (secret / "certificate").write_bytes(signer.certificate_der())
        settings = "mok_signing_key=/run/module-signing/key\nmok_certificate=/run/module-signing/certificate\n"
        (tree / "etc/dkms/framework.conf").write_text(settings)
        times = {"SOURCE_DATE_EPOCH": str(epoch_s), "KBUILD_BUILD_TIMESTAMP": f"@{epoch_s}"}
        command: list[str | Path] = [
            "chroot",
            tree,
            "dkms",
            "install",
            "-m",
            MODULE,
            "-v",
            _source(tree),
            "-k",
            release,
        ]
        run(command, env={**times, "KBUILD_BUILD_USER": "dccn", "KBUILD_BUILD_HOST": "dccn"}, log=log)
    finally:
        shutil.rmtree(secret)


def _source(tree: Path) -> str:
    """The version of the driver's source, out of its folder's name."""
    found = sorted((tree / "usr/src").glob(f"{MODULE}-*"))
    if len(found) != 1:
        raise Faulty("build_failed", f"one source of {MODULE} was expected in /usr/src, there are {len(found)}")
    return found[0].name.removeprefix(f"{MODULE}-")


def _kernel_release(tree: Path) -> str:
    releases = [path.name for path in (tree / "usr/lib/modules").iterdir()]
    if len(releases) != 1 or not (tree / "usr/lib/modules" / releases[0] / "build").is_symlink():
        raise Faulty("build_failed", f"one kernel with its headers was expected, there are {releases}")
    return releases[0]


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
