"""`dccn image build`: the steps in their order, from Debian's archive to one file to flash."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from appliance import verity
from appliance.image import disk, rootfs, uki
from appliance.image.profile import MIB, Profile
from appliance.image.run import run
from chain.errors import Faulty

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


def build(
    profile: Profile, output: Path, cache: Path, *, version: str, epoch_s: int, say: Say, compress: bool = True
) -> Built:
    """Make `<output>/dccn-<profile>-<version>.img`, the parts of an update beside it, and `….json` about both.

    Raises Faulty `build_failed` with the failing step's last words; `<output>/build.log` has all of them.
    """
    output.mkdir(parents=True, exist_ok=True)
    log = output / "build.log"
    log.unlink(missing_ok=True)
    name = f"dccn-{profile.name}-{version}"
    image = output / f"{name}.img"
    with tempfile.TemporaryDirectory(dir=output, prefix=".build-") as folder:
        work = Path(folder)
        say("Debian packages")
        tar = rootfs.base(profile, cache, epoch_s, log)
        say("root file system, agent, initramfs")
        root = rootfs.build(profile, tar, work, version=version, epoch_s=epoch_s, log=log)
        say("read-only root and its hash tree")
        parts = output / f"{name}.update"
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        root_hash = _seal(profile, root.tree, parts, version, epoch_s, log)
        say("kernel image")
        kernel_image = _kernel_image(profile, root, root_hash, version)
        (parts / "kernel.efi").write_bytes(kernel_image)
        say("disk image")
        contents = disk.Contents(
            version, parts / "root.erofs", parts / "root.verity", kernel_image, root.boot_loader, TEMPLATE.read_bytes()
        )
        disk.assemble(image, profile, contents, epoch_s)
        listing = "".join(f"{package}\t{installed}\n" for package, installed in sorted(root.packages.items()))
        (output / f"{name}.packages").write_text(listing)
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
    )
    (output / f"{name}.json").write_text(json.dumps(asdict(built), indent=2) + "\n")
    return built


def _seal(profile: Profile, tree: Path, parts: Path, version: str, epoch_s: int, log: Path) -> str:
    """Root as erofs and its verity tree; returns the root hash in hex."""
    root, tree_file = parts / "root.erofs", parts / "root.verity"
    identity = uuid.uuid5(disk.NAMESPACE, f"{profile.name} {version}")
    run(["mkfs.erofs", "-zlz4hc,9", "-T", str(epoch_s), "-U", str(identity), root, tree], log=log)
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
    release = f'ID=dccn\nPRETTY_NAME="dccn {version}"\nVERSION_ID={version}\nIMAGE_ID=dccn\nIMAGE_VERSION={version}\n'
    command_line = " ".join([*profile.command_line, f"dccn.roothash={root_hash}"])
    parts = {
        ".osrel": release.encode(),
        ".cmdline": command_line.encode() + b"\0",
        ".uname": root.kernel_release.encode(),
        ".initrd": root.initrd,
        ".linux": root.kernel,
    }
    return uki.build(root.stub, parts)


def _compress(image: Path) -> Path:
    packed = image.with_suffix(".img.zst")
    run(["zstd", "-T0", "-12", "--quiet", "--force", "--sparse", image, "-o", packed])
    return packed


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
