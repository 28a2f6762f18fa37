"""What an image is made of: one TOML file per profile, on top of `common.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from chain.errors import Malformed

FOLDER: Final = Path(__file__).parent / "profiles"
COMMON: Final = "common"
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of image; sizes in MiB. Lists of `common.toml` come before those of the profile itself.

    - `packages`, `kernel`: Debian packages; `components`: of the archive.
    - `initrd_modules`: kernel modules that the initramfs needs to find the disk and open the root.
    - `command_line`: what the kernel is told besides the root hash.
    - `overlays`: folders under `overlay/` that are copied onto the root, in this order.
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
    esp_mib: int
    root_mib: int
    hash_mib: int
    config_mib: int
    masked_units: tuple[str, ...]
    enabled_units: tuple[str, ...]


def names() -> list[str]:
    """The profiles that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != COMMON)


def load(name: str) -> Profile:
    """Raises Malformed `usage` for a profile that is not there or whose file does not hold what it should."""
    if name not in names():
        raise Malformed("usage", f"there is no image profile {name!r}; there are {', '.join(names())}")
    common, own = (tomllib.loads((FOLDER / f"{each}.toml").read_text("utf-8")) for each in (COMMON, name))
    merged: dict[str, Any] = {**common}
    for key, value in own.items():
        merged[key] = [*common.get(key, []), *value] if isinstance(value, list) else value
    known = {each.name for each in fields(Profile)} - {"name"}
    for key, value in merged.items():
        if key not in known:
            raise Malformed("usage", f"{name}.toml: there is no setting {key!r}; known: {', '.join(sorted(known))}")
        merged[key] = tuple(value) if isinstance(value, list) else value
    return Profile(name=name, **merged)
