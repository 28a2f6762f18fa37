"""What installing a release costs, against copying and hashing the same bytes, and how little of it is fetched."""

from __future__ import annotations

import hashlib
import io
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import litestar

from appliance import verity
from appliance.agent.updates.blocks import BlockList
from appliance.agent.updates.partition import Partition
from tools.bench.measure import Row, interleaved

MIB = 1 << 20
BYTES = 48 * MIB
PIECE_BYTES = 1 << 16
UUID = "00000000-0000-4000-8000-000000000000"


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        yield _installation(Path(folder))
        if shutil.which("mkfs.erofs") is not None:
            yield _difference(Path(folder))


def _installation(folder: Path) -> Row:
    """Everything is fetched, written, flushed, and read back block by block; the network is left out."""
    data = random.Random("release").randbytes(BYTES)
    wanted = listed(data)
    slot, copy = folder / "slot", folder / "copy"
    slot.write_bytes(bytes(BYTES))

    def install() -> None:
        slot.write_bytes(bytes(BYTES))
        done = bytearray(wanted.count)
        with Partition(slot, writable=True) as idle:
            done[:] = wanted.in_place(idle.blocks(wanted.count))
            wanted.fetch(lambda offset, length: pieces(data, offset, length), idle.write, done)
            idle.sync()
            digest = hashlib.sha256()
            for number, block in enumerate(idle.blocks(wanted.count)):
                assert wanted.is_right(number, block)
                digest.update(block)

    def plain() -> None:
        copy.write_bytes(bytes(BYTES))
        with Partition(copy, writable=True) as file:
            for offset in range(0, BYTES, MIB):
                file.write(offset, data[offset : offset + MIB])
            file.sync()
            digest = hashlib.sha256()
            for offset in range(0, BYTES, MIB):
                digest.update(file.read(offset, MIB))

    ours, limit = interleaved(install, plain, repeats=3)
    per_mib = 1e3 * MIB / BYTES
    return Row("install a release", ours * per_mib, "ms CPU/MiB", "copy and hash ms CPU/MiB", limit * per_mib)


def _difference(folder: Path) -> Row:
    """Two real file systems, as images have them; between them thirty lines of one module were added."""
    tree = folder / "tree"
    shutil.copytree(Path(litestar.__file__).parent, tree, ignore=shutil.ignore_patterns("__pycache__"))
    before = _file_system(tree, folder / "before.erofs")
    with (tree / "app.py").open("a") as file:
        file.writelines(f"NUMBER_{line} = {line * line}\n" for line in range(30))
    wanted = listed(_file_system(tree, folder / "after.erofs").read_bytes())
    done = bytearray(wanted.count)
    with Partition(before) as active:
        places = wanted.elsewhere(active.blocks(active.size_bytes // verity.BLOCK_BYTES), done)
    fetched = wanted.count - len(places)
    return Row("fetched after a small change", fetched, "blocks", "blocks of the release", wanted.count, ("<=", 0.25))


def listed(data: bytes) -> BlockList:
    blocks = len(data) // verity.BLOCK_BYTES
    tree, root = verity.build(io.BytesIO(data), blocks, b"salt")
    header, digests = verity.leaves(tree, root)
    return BlockList(digests, header.salt, len(data))


def pieces(data: bytes, offset: int, length: int) -> Iterator[bytes]:
    return (data[at : min(at + PIECE_BYTES, offset + length)] for at in range(offset, offset + length, PIECE_BYTES))


def _file_system(tree: Path, path: Path) -> Path:
    subprocess.run(["mkfs.erofs", "-zlz4hc,9", "-T", "1", "-U", UUID, path, tree], check=True, capture_output=True)
    return path
