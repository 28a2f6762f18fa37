"""`dccn image build`: the steps in their order, from Debian's archive to one file to flash."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from appliance import uki, verity
from appliance.image import artifacts, disk, measurement, module_signing, packages, rootfs, secure_boot
from appliance.image.additions import Additions
from appliance.image.profile import CONTAINER_TOOLKIT, K3S, MIB, Profile
from appliance.image.run import run
from appliance.releases import trust as trusted_root
from chain.errors import Faulty, Malformed

TEMPLATE: Final = Path(__file__).parent / "dccn.toml"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Built:
    """What a build wrote; sizes in bytes, hashes in hex."""

    profile: str
    version: str
    image: str
    image_bytes: int
    stored_bytes: int
    compressed: str
    compressed_bytes: int
    root_hash: str
    kernel_release: str
    sha256: str
    measured: dict[str, Any]
    """What a boot of it leaves in a TPM, see `MeasuredImage`: a hub that has this file believes such boots."""


def build(
    profile: Profile,
    output: Path,
    cache: Path,
    *,
    version: str,
    epoch_s: int,
    say: Say,
    compress: bool = True,
    lock: Path | None = None,
    trust: Path | None = None,
    files: Path | None = None,
    fetching: bool = False,
    without: Collection[str] = (),
    keys: Path | None = None,
    artifacts_lock: Path = artifacts.LOCK,
    boot_keys: secure_boot.Keys | None = None,
    enrols_keys: bool = False,
) -> Built:
    """Make `<output>/dccn-<profile>-<version>.img`, the parts of an update beside it, and `….json` about both.

    Also `….lock`, the Debian packages in it, and `….cdx.json`, all of its parts; with `lock`, an image of other
    packages than that file's is not built. `trust` is the `root.json` of the releases that its machines believe;
    without it they do not update themselves. `files` is the folder of what `artifacts.lock` names, `without` the parts
    of it that are left out, `keys` the folder of the key that signs kernel modules. With `boot_keys`, boot loader,
    kernel image and modules are signed for Secure Boot, and the image brings what enrols the keys; `enrols_keys` as in
    `disk.Contents`. Raises Unavailable `artifacts_missing` before anything is built, Faulty `build_failed` with the
    failing step's last words; `<output>/build.log` has all of them.
    """
    trusted = None if trust is None else trusted_root.read(trust)
    output.mkdir(parents=True, exist_ok=True)
    log = output / "build.log"
    log.unlink(missing_ok=True)
    name = f"dccn-{profile.name}-{version}"
    image = output / f"{name}.img"
    wanted = profile.parts - _known_parts(without)
    taken = artifacts.gather(wanted, files or cache / "artifacts", say=say, fetching=fetching, lock=artifacts_lock)
    additions = Additions(taken, cache, partial(_module_key, boot_keys, keys or cache / "keys"))
    with tempfile.TemporaryDirectory(dir=output, prefix=".build-") as folder:
        work = Path(folder)
        say("Debian packages")
        tar, debian = rootfs.base(profile, cache, epoch_s, log)
        (output / f"{name}.lock").write_text(packages.write(debian))
        if lock is not None:
            packages.check(debian, packages.read(lock), lock)
        say("root file system, agent, initramfs")
        root = rootfs.build(
            profile,
            tar,
            work,
            debian,
            additions,
            version=version,
            epoch_s=epoch_s,
            log=log,
            trusted_root=trusted,
        )
        say("read-only root and its hash tree")
        parts = output / f"{name}.update"
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        root_hash = _seal(profile, root.tree, parts, version, epoch_s, log)
        say("kernel image")
        kernel_image, boot_loader = _kernel_image(profile, root, root_hash, version), root.boot_loader
        if boot_keys is not None:
            kernel_image, boot_loader = (boot_keys.sign(each, epoch_s) for each in (kernel_image, boot_loader))
        (parts / "kernel.efi").write_bytes(kernel_image)
        measured = measurement.measure(f"{profile.name} {version}", kernel_image, boot_loader).document()
        (parts / "measured.json").write_text(json.dumps(measured, indent=2) + "\n")
        say("disk image")
        contents = disk.Contents(
            version=version,
            root=parts / "root.erofs",
            hash_tree=parts / "root.verity",
            kernel_image=kernel_image,
            boot_loader=boot_loader,
            configuration=TEMPLATE.read_bytes(),
            keys=boot_keys.enrolment() if boot_keys is not None else {},
            enrols_keys=enrols_keys,
        )
        disk.assemble(image, profile, contents, epoch_s)
        shutil.copyfile(root.tree / rootfs.SBOM, output / f"{name}.cdx.json")
        kernel_release = root.kernel_release
    say("compressing" if compress else "done")
    compressed = _compress(image) if compress else None
    built = Built(
        profile=profile.name,
        version=version,
        image=str(image),
        image_bytes=image.stat().st_size,
        stored_bytes=image.stat().st_blocks * 512,
        compressed=str(compressed or ""),
        compressed_bytes=compressed.stat().st_size if compressed else 0,
        root_hash=root_hash,
        kernel_release=kernel_release,
        sha256=_digest(image),
        measured=measured,
    )
    (output / f"{name}.json").write_text(json.dumps(asdict(built), indent=2) + "\n")
    return built


def _module_key(boot_keys: secure_boot.Keys | None, folder: Path) -> module_signing.ModuleKey:
    return module_signing.of_builder(folder) if boot_keys is None else module_signing.of_secure_boot(boot_keys)


def _known_parts(names: Collection[str]) -> frozenset[str]:
    """Raises Malformed `usage` for a part that there is not."""
    if unknown := sorted(set(names) - {K3S, CONTAINER_TOOLKIT}):
        raise Malformed("usage", f"there is no part {unknown[0]!r} to leave out; there are {CONTAINER_TOOLKIT}, {K3S}")
    return frozenset(names)


def _seal(profile: Profile, tree: Path, parts: Path, version: str, epoch_s: int, log: Path) -> str:
    """Root as erofs and its verity tree; returns the root hash in hex."""
    root, tree_file = parts / "root.erofs", parts / "root.verity"
    identity = uuid.uuid5(disk.NAMESPACE, f"{profile.name} {version}")
    # Not compressed in here: what travels is, better and as a whole, and a small change stays small in an update.
    run(["mkfs.erofs", "-T", str(epoch_s), "-U", str(identity), root, tree], log=log)
    blocks = -(-root.stat().st_size // verity.BLOCK_BYTES)
    for what, size, room_mib in (
        ("root", blocks * verity.BLOCK_BYTES, profile.root_mib),
        ("hash tree", verity.hash_area_bytes(blocks), profile.hash_mib),
    ):
        if size > room_mib * MIB:
            raise Faulty("build_failed", f"the {what} has {size} bytes, a slot of {profile.name} {room_mib} MiB for it")
    with root.open("r+b") as file:
        file.truncate(blocks * verity.BLOCK_BYTES)
        salt = hashlib.sha256(f"dccn/verity {profile.name} {version}".encode()).digest()
        area, root_hash = verity.build(file, blocks, salt, identity.bytes)
    tree_file.write_bytes(area)
    return root_hash.hex()


def _kernel_image(profile: Profile, root: rootfs.Root, root_hash: str, version: str) -> bytes:
    """The unified kernel image; with the root hash in its command line it vouches for every byte of the root."""
    named = {"ID": "dccn", "PRETTY_NAME": f'"dccn {version}"', "VERSION_ID": version, "VARIANT_ID": profile.name}
    named |= {"IMAGE_ID": "dccn", "IMAGE_VERSION": version}
    release = "".join(f"{name}={value}\n" for name, value in named.items())
    command_line = " ".join([*profile.command_line, f"{uki.ROOT_HASH}{root_hash}"])
    parts = {
        ".osrel": release.encode(),
        ".cmdline": command_line.encode() + b"\0",
        ".uname": root.kernel_release.encode(),
        ".initrd": root.initrd,
        ".linux": root.kernel,
    }
    return uki.build(root.stub, parts)


def _compress(image: Path) -> Path:
    """What balenaEtcher and Raspberry Pi Imager unpack by themselves; the same bytes on any number of cores."""
    run(["xz", "-6", "--threads=2", "--block-size=24MiB", "--quiet", "--force", "--keep", image])
    return image.with_suffix(".img.xz")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
