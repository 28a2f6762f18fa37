"""What a model of machine is made of and must keep to: a golden profile, one TOML file per model."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import msgspec

from chain.errors import Malformed

FOLDER: Final = Path(__file__).parents[2] / "hardware-tests" / "profiles"
MAX_PROFILE_BYTES: Final = 64 * 1024


class Processor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`model` is part of the processor's name."""

    model: str = ""
    threads: int = 1


class Disk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At least `count` disks of a kind (nvme, ssd, hdd, virtual) and of at least `size_gib`."""

    kind: str
    size_gib: int
    count: int = 1


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly `count` cards; `name` is part of each card's name. PCIe as it must be under load."""

    name: str
    memory_mib: int
    count: int = 1
    pcie_generation: int = 1
    pcie_lanes: int = 1


class Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At least `count` network interfaces, of at least `speed_mbit` where the driver tells."""

    count: int = 1
    speed_mbit: int = 0


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must not be passed. A new disk is worn by a few percent at most; `read_iops` are of 4 KiB at random."""

    disk_worn_percent: int = 5
    disk_celsius: int = 75
    read_iops: int = 0
    write_iops: int = 0
    clock_offset_ms: int = 2_000
    hub_latency_ms: int = 2_000


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model; `tpm`, `secure_boot`, `watchdog` say what it must have, `fans` how many must turn."""

    title: str
    processor: Processor = Processor()
    memory_mib: int = 0
    disks: list[Disk] = []
    cards: list[Card] = []
    network: Wire = Wire()
    fans: int = 0
    tpm: bool = False
    secure_boot: bool = False
    watchdog: bool = False
    limits: Limits = Limits()


def names(folder: Path = FOLDER) -> list[str]:
    """The profiles that there are."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load(name: str, folder: Path = FOLDER) -> Profile:
    """The profile of that name, or in that file. Raises Malformed `usage` for one that is not there or is none."""
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PROFILE_BYTES)
        return msgspec.convert(tomllib.loads(data.decode()), Profile)
    except OSError:
        known = ", ".join(names(folder))
        raise Malformed("usage", f"there is no hardware profile {name!r}; there are {known}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise Malformed("usage", f"the hardware profile {path}: {error}") from None
