"""The parts of an update, small and real: a root with its hash tree, and a kernel image whose command line names it."""

from __future__ import annotations

import io
import random
from pathlib import Path

from appliance import uki, verity
from tests.appliance.smallest_stub import stub

ROOT_BLOCKS = 300
KERNEL_BYTES = 200_000


def write(folder: Path, version: str, root: bytes | None = None, *, profile: str = "qemu-test") -> Path:
    """`<folder>/dccn-<profile>-<version>.update`; without `root` its blocks depend on the version alone."""
    root = content(version) if root is None else root
    tree, digest = verity.build(io.BytesIO(root), len(root) // verity.BLOCK_BYTES, version.encode(), bytes(16))
    parts = folder / f"dccn-{profile}-{version}.update"
    parts.mkdir(parents=True)
    (parts / "root.erofs").write_bytes(root)
    (parts / "root.verity").write_bytes(tree)
    (parts / "kernel.efi").write_bytes(kernel(version, digest, profile=profile))
    return parts


def content(seed: str, blocks: int = ROOT_BLOCKS) -> bytes:
    return random.Random(seed).randbytes(blocks * verity.BLOCK_BYTES)


def kernel(version: str, root_hash: bytes, *, profile: str = "qemu-test") -> bytes:
    sections = {
        ".osrel": f"ID=dccn\nIMAGE_VERSION={version}\nVARIANT_ID={profile}\n".encode(),
        ".cmdline": f"quiet {uki.ROOT_HASH}{root_hash.hex()}".encode() + b"\0",
        ".linux": random.Random("kernel").randbytes(KERNEL_BYTES),
    }
    return uki.build(stub(), sections)
