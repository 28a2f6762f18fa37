"""Put an owner's settings into an image or a flashed disk, without mounting anything."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from appliance.image import fat, gpt
from appliance.image.disk import CONFIG_LABEL
from appliance.provisioning.settings import OwnerSettings, parse
from chain.errors import Faulty, Malformed

FILE_NAME: Final = "dccn.toml"
Value = str | Sequence[str]


def compose(settings: Mapping[str, Mapping[str, Value | None]]) -> bytes:
    """Table → key → value as the text of a `dccn.toml`; a value of None is left out."""
    lines: list[str] = []
    for table, values in settings.items():
        said = {name: value for name, value in values.items() if value}
        if said:
            # A JSON string is a TOML string, and so is a list of them.
            lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in said.items()), ""]
    return "\n".join(lines).encode()


def check(data: bytes) -> OwnerSettings:
    """What the machine will understand. Raises Malformed `usage` for anything that it would ignore."""
    settings = parse(data)
    if settings.problems:
        raise Malformed("usage", "; ".join(settings.problems))
    return settings


def configure(image: Path, data: bytes) -> OwnerSettings:
    """Write `data` as `dccn.toml` onto the partition DCCNCFG of an image file or a disk, and read it back.

    Raises Malformed `usage` for settings or a file that cannot be used, Faulty `flash_failed` if the disk lost it.
    """
    settings = check(data)
    offset = config_offset_bytes(image)
    fat.put(image, FILE_NAME, data, offset_bytes=offset, epoch_s=int(time.time()))
    if fat.get(image, FILE_NAME, offset_bytes=offset) != data:
        raise Faulty("flash_failed", f"{image} gave back another {FILE_NAME} than was written")
    return settings


def config_offset_bytes(image: Path) -> int:
    """Where the partition DCCNCFG begins. Raises Malformed `usage` when there is none."""
    if image.suffix == ".xz":
        raise Malformed("usage", f"{image} is packed; unpack it (xz -dk), or flash it and configure the disk")
    try:
        with image.open("rb") as file:
            partitions = gpt.read(file)
    except OSError as error:
        raise Malformed("usage", f"reading {image}: {error.strerror}") from error
    for partition in partitions:
        if partition.label == CONFIG_LABEL:
            return partition.offset_bytes
    raise Malformed("usage", f"{image} has no partition {CONFIG_LABEL}: it is no dccn image, or it was not flashed yet")
