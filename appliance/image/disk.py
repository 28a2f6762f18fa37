"""The whole disk as one sparse file: partition table, boot partition, slot A, an empty slot B, configuration.

```
esp       FAT   systemd-boot and the kernel images
root-a    erofs read-only root of slot A        hash-a   its dm-verity tree
root-b    empty until the first update          hash-b
DCCNCFG   FAT   dccn.toml, which the owner may edit on any computer
data            made on the machine at its first boot, in the rest of the disk
```
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from appliance.agent.updates import boot_entries
from appliance.image import fat, gpt
from appliance.image.profile import MIB, Profile

CONFIG_LABEL: Final = "DCCNCFG"
NAMESPACE: Final = uuid.UUID("6b0d2a4e-8d0c-5d5f-9d53-0f1a3c6f7e21")
KEYS: Final = "loader/keys"
COPY_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into the partitions; `root` and `hash_tree` are files, `kernel_image` the UKI's bytes.

    `keys` are files by which the firmware learns Secure Boot keys, from the boot loader's menu; with `enrols_keys` the
    boot loader does so by itself, at the first start of a machine whose firmware waits for keys.
    """

    version: str
    root: Path
    hash_tree: Path
    kernel_image: bytes
    boot_loader: bytes
    configuration: bytes
    keys: Mapping[str, bytes] = field(default_factory=dict)
    enrols_keys: bool = False


def layout(profile: Profile) -> list[gpt.Partition]:
    """The partitions of a profile's disk, in their order; the same places in every image of this profile."""
    wanted = [gpt.Wanted("esp", gpt.ESP, profile.esp_mib * MIB)]
    for slot in "ab":
        wanted.append(gpt.Wanted(f"root-{slot}", gpt.ROOT_X86_64, profile.root_mib * MIB, gpt.NO_AUTO))
        wanted.append(gpt.Wanted(f"hash-{slot}", gpt.ROOT_VERITY_X86_64, profile.hash_mib * MIB, gpt.NO_AUTO))
    wanted.append(gpt.Wanted(CONFIG_LABEL, gpt.BASIC_DATA, profile.config_mib * MIB))
    return gpt.place(wanted, uuid.uuid5(NAMESPACE, profile.name))


def kernel_name(version: str) -> str:
    """The file name of a UKI that was never started; the boot loader counts its tries down."""
    return boot_entries.fresh(version).name


def assemble(path: Path, profile: Profile, contents: Contents, epoch_s: int) -> None:
    """Write the disk image; unused space stays a hole."""
    partitions = {each.label: each for each in layout(profile)}
    sectors = gpt.disk_sectors(list(partitions.values()))
    config_files = {"dccn.toml": contents.configuration}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".parts-") as folder, path.open("wb") as disk:
        esp, config = Path(folder, "esp"), Path(folder, "config")
        fat.make(esp, partitions["esp"].size_bytes, "DCCNESP", 0xDCC00001, esp_files(contents), epoch_s)
        fat.make(config, partitions[CONFIG_LABEL].size_bytes, CONFIG_LABEL, 0xDCC00002, config_files, epoch_s)
        disk.truncate(sectors * gpt.SECTOR_BYTES)
        gpt.write(disk, list(partitions.values()), sectors, uuid.uuid5(NAMESPACE, f"disk {profile.name}"))
        for label, source in (
            ("esp", esp),
            ("root-a", contents.root),
            ("hash-a", contents.hash_tree),
            (CONFIG_LABEL, config),
        ):
            _copy(source, disk, partitions[label])


def esp_files(contents: Contents) -> dict[str, bytes]:
    """The boot partition: the loader under the name that every firmware tries, and one kernel image with its tries."""
    enrol = b"secure-boot-enroll force\n" if contents.enrols_keys else b""
    # systemd-boot takes keys by itself from the folder of this name alone; another is an entry of its menu.
    keys = "auto" if contents.enrols_keys else "dccn"
    return {
        "EFI/BOOT/BOOTX64.EFI": contents.boot_loader,
        "EFI/systemd/systemd-bootx64.efi": contents.boot_loader,
        f"EFI/Linux/{kernel_name(contents.version)}": contents.kernel_image,
        "loader/loader.conf": b"timeout 0\neditor no\n" + enrol,
        **{f"{KEYS}/{keys}/{name}": content for name, content in contents.keys.items()},
    }


def _copy(source: Path, disk: BinaryIO, partition: gpt.Partition) -> None:
    size = source.stat().st_size
    assert size <= partition.size_bytes, f"{source} has {size} bytes, {partition.label} holds {partition.size_bytes}"
    with source.open("rb") as file:
        at = partition.offset_bytes
        while block := file.read(COPY_BYTES):
            if any(block):
                disk.seek(at)
                disk.write(block)
            at += len(block)
