"""Systems on a machine's disk, put there from outside: a release in a slot, and what the boot partition holds of it."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

from appliance import uki, verity
from appliance.agent.updates import boot_entries
from appliance.image import fat, gpt

EPOCH_S = 1_767_225_600
FOLDER = "EFI/Linux"


def other_release(parts: Path, folder: Path, version: str) -> Path:
    """Another release of the same files, whose root has another hash: `parts` with other salt in the hash tree."""
    folder.mkdir()
    (folder / "root.erofs").hardlink_to(parts / "root.erofs")
    with (parts / "root.erofs").open("rb") as root:
        tree, root_hash = verity.build(
            root, (parts / "root.erofs").stat().st_size // verity.BLOCK_BYTES, version.encode()
        )
    (folder / "root.verity").write_bytes(tree)
    kernel = (parts / "kernel.efi").read_bytes()
    (folder / "kernel.efi").write_bytes(relabelled(kernel, version, root_hash=root_hash))
    return folder


def relabelled(kernel: bytes, version: str, words: str = "", root_hash: bytes | None = None) -> bytes:
    """A kernel image that calls itself another version, with more words on its command line: another system, made
    without building one."""
    parts = {name: content for name in uki.ORDER if (content := uki.content(kernel, name)) is not None}
    line = parts[".cmdline"].rstrip(b"\0").decode()
    if root_hash is not None:
        line = re.sub(rf"{uki.ROOT_HASH}\S*", uki.ROOT_HASH + root_hash.hex(), line)
    parts[".cmdline"] = f"{line} {words}".strip().encode() + b"\0"
    parts[".osrel"] = re.sub(rb"(?m)^((?:IMAGE_VERSION|VERSION_ID)=).*", rb"\g<1>" + version.encode(), parts[".osrel"])
    return uki.build(stub_of(kernel), parts)


def without_kernel(kernel: bytes, version: str) -> bytes:
    """As the boot loader sees it, a kernel image of this version; it starts nothing, and is small."""
    image = relabelled(kernel, version)
    return uki.build(stub_of(image), {".osrel": uki.content(image, ".osrel") or b""})


def asking(kernel: bytes, version: str, script: str) -> bytes:
    """A kernel image that runs nothing but this shell script, from a further archive behind its own initramfs."""
    image = relabelled(kernel, version, "rdinit=/question")
    parts = {name: content for name in uki.ORDER if (content := uki.content(image, name)) is not None}
    parts[".initrd"] += bytes(-len(parts[".initrd"]) % 4) + _archive("question", f"#!/bin/sh\n{script}\n".encode())
    return uki.build(stub_of(image), parts)


def stub_of(kernel: bytes) -> bytes:
    """The program that a kernel image is made from: what comes before the parts that were added."""
    added = [section for section in uki.sections_of(kernel) if section.name in uki.ORDER]
    stub = bytearray(kernel[: min(section.offset for section in added)])
    (header,) = struct.unpack_from("<I", stub, 0x3C)
    struct.pack_into("<H", stub, header + 6, len(uki.sections_of(kernel)) - len(added))
    return bytes(stub)


def partition(disk: Path, label: str) -> gpt.Partition:
    with disk.open("rb") as file:
        return next(each for each in gpt.read(file) if each.label == label)


def fill_slot(disk: Path, slot: str, parts: Path) -> None:
    """The root and its hash tree of an update's folder into one slot."""
    with disk.open("r+b") as file:
        for label, name in ((f"root-{slot}", "root.erofs"), (f"hash-{slot}", "root.verity")):
            file.seek(partition(disk, label).offset_bytes)
            with (parts / name).open("rb") as part:
                while block := part.read(1 << 20):
                    file.write(block)


def flip_bit(disk: Path, offset_bytes: int) -> None:
    with disk.open("r+b") as file:
        file.seek(offset_bytes)
        byte = file.read(1)[0]
        file.seek(offset_bytes)
        file.write(bytes([byte ^ 1]))


def entries(disk: Path) -> list[str]:
    """The names in the boot loader's folder, in small letters."""
    listed = _mtools("mdir", disk, "-b", f"::{FOLDER}").decode()
    return sorted(line.rpartition("/")[2].strip().lower() for line in listed.splitlines() if line.strip())


def kernel(disk: Path) -> bytes:
    """The kernel image that the boot loader would start."""
    name = boot_entries.choose(entries(disk))
    assert name is not None, f"no kernel image on {disk}"
    return read_entry(disk, name)


def read_entry(disk: Path, name: str) -> bytes:
    return fat.get(disk, f"{FOLDER}/{name}", offset_bytes=_esp(disk))


def add_entry(disk: Path, name: str, kernel: bytes) -> None:
    fat.put(disk, f"{FOLDER}/{name}", kernel, offset_bytes=_esp(disk), epoch_s=EPOCH_S)


def remove_entry(disk: Path, name: str) -> None:
    _mtools("mdel", disk, f"::{FOLDER}/{name}")


def _archive(name: str, content: bytes) -> bytes:
    """A cpio archive (newc) with one program in it."""
    out = b""
    for number, path, mode, data in ((1, name, 0o100755, content), (0, "TRAILER!!!", 0, b"")):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + path.encode() + b"\0"
        out += head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return out


def _esp(disk: Path) -> int:
    return partition(disk, "esp").offset_bytes


def _mtools(program: str, disk: Path, *arguments: str) -> bytes:
    command = [program, "-i", f"{disk}@@{_esp(disk)}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, env={"MTOOLS_SKIP_CHECK": "1"}).stdout
