"""A release into the idle slot, step by step, so that whenever the power goes the machine starts a whole system.

1. The new kernel image is made under a name that the boot loader does not read, and checked.
2. The idle slot's entry goes: the root that it would start is about to be written over.
3. The root's blocks are copied from the running slot or fetched; the hash tree follows.
4. Both are read back from the disk, block by block against the tree, and whole against the signed hash.
5. The kernel image is renamed into its place. Before that nothing has changed for the boot loader; after it, all has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance import uki, verity
from appliance.agent.updates import boot_entries
from appliance.agent.updates.blocks import BlockList
from appliance.agent.updates.boot_folder import BootFolder
from appliance.agent.updates.catalogue import Offer
from appliance.agent.updates.partition import Partition
from appliance.agent.updates.slots import Slots
from appliance.releases.description import KERNEL, KERNEL_TREE, ROOT, ROOT_TREE
from appliance.verity import BLOCK_BYTES
from chain.errors import DccnError, Faulty, Refused

PIECE_BYTES: Final = 1 << 20
Note = Callable[[str, int, int], None]
"""What is being done, and how many bytes of how many of it."""


@dataclass(frozen=True, slots=True)
class Installed:
    """`entry` is the boot loader's name for it; `fetched_bytes` of `total_bytes` came from the source."""

    entry: str
    fetched_bytes: int
    total_bytes: int


class Installer:
    """Writes offers into the idle slot of `slots`. `opened` opens a partition; tests cut the power in there."""

    def __init__(
        self,
        slots: Slots,
        boot: BootFolder,
        note: Note = lambda _step, _done, _total: None,
        opened: Callable[..., Partition] = Partition,
    ) -> None:
        self._slots = slots
        self._boot = boot
        self._note = note
        self._open = opened
        self._fetched = 0

    def install(self, offer: Offer) -> Installed:
        """Raises Refused `update_not_now` or `update_untrusted`, Unavailable `unreachable`, Faulty `update_failed`.

        Whatever it raises, the running system is untouched and started next. Calling it again goes on where it was.
        """
        self._fetched = 0
        running = self._slots.root_hash
        own_kernel = self._boot.proven(running)
        _check_is_newer(offer, own_kernel)
        tree = self._fetched_whole(offer, ROOT_TREE)
        root = _block_list(tree, bytes.fromhex(offer.description.root_hash), offer.parts[ROOT].length)
        self._check_room(offer)
        self._boot.make_room(offer.parts[KERNEL].length, running)
        kernel = self._staged_kernel(offer, own_kernel)
        self._boot.keep_only(running)
        self._write_root(offer, root)
        self._write_tree(tree)
        self._check_root(offer, root)
        self._check_kernel(kernel, offer)
        entry = self._boot.commit(offer.description.version)
        return Installed(entry, self._fetched, sum(part.length for part in offer.parts.values()))

    def _staged_kernel(self, offer: Offer, own: Path) -> Path:
        """The new image: made in memory, as it is small, then under a name that the loader does not read; read back."""
        tree = self._fetched_whole(offer, KERNEL_TREE)
        part = offer.parts[KERNEL]
        blocks = _block_list(tree, bytes.fromhex(offer.description.kernel_hash), part.length)
        image, done = bytearray(part.length), bytearray(blocks.count)
        mine = own.read_bytes()

        def write(offset: int, data: bytes) -> None:
            image[offset : offset + len(data)] = data[: part.length - offset]

        def read(offset: int, length: int) -> bytes:
            return mine[offset : offset + length]

        here = (mine[at : at + BLOCK_BYTES] for at in range(0, len(mine), BLOCK_BYTES))
        blocks.copy(blocks.elsewhere(here, done), read, write, done)
        self._fetched += blocks.fetch(lambda *place: offer.source.pieces(part.path, *place), write, done)
        path = self._boot.stage(bytes(image[at : at + PIECE_BYTES]) for at in range(0, len(image), PIECE_BYTES))
        self._check_kernel(path, offer)
        return path

    def _write_root(self, offer: Offer, root: BlockList) -> None:
        part = offer.parts[ROOT]
        with self._open(self._slots.idle.root, writable=True) as idle, self._open(self._slots.active.root) as active:
            there = 0

            def write(offset: int, data: bytes) -> None:
                nonlocal there
                idle.write(offset, data)
                there += len(data)
                self._note("writing", there, part.length)

            self._note("comparing", 0, part.length)
            done = root.in_place(idle.blocks(root.count))
            there = sum(done) * BLOCK_BYTES
            here = active.blocks(self._active_blocks())
            root.copy(root.elsewhere(here, done), active.read, write, done)
            self._fetched += root.fetch(lambda *place: offer.source.pieces(part.path, *place), write, done)
            idle.sync()

    def _active_blocks(self) -> int:
        """How many blocks of the running slot hold its root; behind them lie leftovers of larger ones."""
        with self._open(self._slots.active.tree) as tree:
            return verity.Superblock.decode(tree.read(0, BLOCK_BYTES)).data_blocks

    def _write_tree(self, tree: bytes) -> None:
        with self._open(self._slots.idle.tree, writable=True) as idle:
            for at in range(0, len(tree), PIECE_BYTES):
                idle.write(at, tree[at : at + PIECE_BYTES])
            idle.sync()
            if idle.read(0, len(tree)) != tree:
                raise Faulty("update_failed", f"{idle.path} gave back other bytes than were written")

    def _check_root(self, offer: Offer, root: BlockList) -> None:
        """Every block as the tree has it, and the whole as it was signed; read from the disk, not from memory."""
        digest, number = hashlib.sha256(), -1
        with self._open(self._slots.idle.root) as idle:
            for number, block in enumerate(idle.blocks(root.count)):
                if not root.is_right(number, block):
                    raise Faulty("update_failed", f"block {number} of {idle.path} is not what was written")
                digest.update(block)
        if number + 1 != root.count or digest.digest() != offer.parts[ROOT].sha256:
            raise Faulty("update_failed", f"{self._slots.idle.root} does not hold the root that was signed")

    def _check_kernel(self, path: Path, offer: Offer) -> None:
        """The staged image as it was signed, and made for this root."""
        try:
            image = path.read_bytes()
        except OSError as error:
            raise Faulty("update_failed", f"reading {path}: {error.strerror}") from None
        described = offer.description
        if hashlib.sha256(image).digest() != offer.parts[KERNEL].sha256:
            raise Faulty("update_failed", f"{path} is not the kernel image that was signed")
        try:
            named, root_hash = uki.os_release(image), uki.root_hash(image).hex()
        except DccnError as error:
            raise Refused("update_untrusted", f"release {described.release}: {error.message}") from None
        if (root_hash, named.get("IMAGE_VERSION")) != (described.root_hash, described.version):
            raise Refused("update_untrusted", f"the kernel image of release {described.release} is for another root")

    def _check_room(self, offer: Offer) -> None:
        for path, name in ((self._slots.idle.root, ROOT), (self._slots.idle.tree, ROOT_TREE)):
            with self._open(path) as partition:
                room, needed = partition.size_bytes, offer.parts[name].length
            if needed > room:
                raise Refused("update_not_now", f"{name} has {needed} bytes, the slot {room}")

    def _fetched_whole(self, offer: Offer, name: str) -> bytes:
        """A part of a few MiB, checked against its signed hash and length."""
        part = offer.parts[name]
        data = b"".join(offer.source.pieces(part.path, 0, part.length))
        self._fetched += len(data)
        if hashlib.sha256(data).digest() != part.sha256:
            raise Refused("update_untrusted", f"{offer.source.name} gave another {name} than was signed")
        return data


def _check_is_newer(offer: Offer, own_kernel: Path) -> None:
    """The boot loader starts the newest version: one that is not above the running one would never be started."""
    entry, version = boot_entries.parse(own_kernel.name), offer.description.version
    assert entry is not None, own_kernel
    if boot_entries.version_key(version) <= boot_entries.version_key(entry.version):
        raise Refused("update_not_now", f"version {version} is not newer than {entry.version}, which runs")


def _block_list(tree: bytes, root_hash: bytes, length: int) -> BlockList:
    try:
        header, digests = verity.leaves(tree, root_hash)
    except DccnError as error:
        raise Refused("update_untrusted", f"a hash tree that was signed is not one: {error.message}") from None
    if header.data_blocks != -(-length // BLOCK_BYTES):
        raise Refused("update_untrusted", f"a hash tree over {header.data_blocks} blocks for {length} bytes")
    return BlockList(digests, header.salt, length)
