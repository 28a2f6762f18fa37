"""What an image is made of: one TOML file per profile, on top of `common.toml` or of the one that it is based on."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from chain.errors import Malformed

FOLDER: Final = Path(__file__).parent / "profiles"
COMMON: Final = "common"
BASE: Final = "based_on"
K3S: Final = "k3s"
CONTAINER_TOOLKIT: Final = "container-toolkit"
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of image; sizes in MiB. Lists of the profile that it is based on come before its own.

    - `packages`, `kernel`: Debian packages; `components`: of the archive.
    - `initrd_modules`: kernel modules that the initramfs needs to find the disk and open the root.
    - `command_line`: what the kernel is told besides the root hash.
    - `left_out`: what no machine of ours asks for, as patterns below the root.
    - `overlays`: folders under `overlay/` that are copied onto the root, in this order.
    - `k3s`: whether it has k3s with its images; `nvidia`: whether it has NVIDIA's driver and container toolkit.
    - `build_packages`: Debian packages that only the driver's build needs; the finished image is without them.
    """

    name: str
    title: str
    suite: str
    components: tuple[str, ...]
    kernel: str
    packages: tuple[str, ...]
    initrd_modules: tuple[str, ...]
    command_line: tuple[str, ...]
    overlays: tuple[str, ...]
    left_out: tuple[str, ...]
    esp_mib: int
    root_mib: int
    hash_mib: int
    config_mib: int
    masked_units: tuple[str, ...]
    enabled_units: tuple[str, ...]
    build_packages: tuple[str, ...] = ()
    k3s: bool = False
    nvidia: bool = False

    @property
    def parts(self) -> frozenset[str]:
        """What it takes from `artifacts.lock`."""
        return frozenset(part for part, has in ((K3S, self.k3s), (CONTAINER_TOOLKIT, self.nvidia)) if has)


def names() -> list[str]:
    """The profiles that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != COMMON)


def load(name: str) -> Profile:
    """Raises Malformed `usage` for a profile that is not there or whose file does not hold what it should."""
    if name not in names():
        raise Malformed("usage", f"there is no image profile {name!r}; there are {', '.join(names())}")
    merged: dict[str, Any] = {}
    for own in _layers(name):
        for key, value in own.items():
            merged[key] = [*merged.get(key, []), *value] if isinstance(value, list) else value
    known = {each.name for each in fields(Profile)} - {"name"}
    for key, value in merged.items():
        if key not in known:
            raise Malformed("usage", f"{name}.toml: there is no setting {key!r}; known: {', '.join(sorted(known))}")
        merged[key] = tuple(value) if isinstance(value, list) else value
    return Profile(name=name, **merged)


def _layers(name: str) -> list[dict[str, Any]]:
    """`common.toml`, the profile that this one is based on, and its own."""
    own = tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))
    base = own.pop(BASE, None if name == COMMON else COMMON)
    return [*(_layers(base) if base else ()), own]
