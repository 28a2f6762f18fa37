"""The images that this hub knows: one JSON file each, as its builder wrote it, in a folder of the hub's home."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chain import files
from chain.errors import Malformed
from fleet.protocol.measured_image import MeasuredImage

MAX_FILE_BYTES: Final = 64 * 1024
_log = logging.getLogger(__name__)


def add_image(folder: Path, data: bytes) -> MeasuredImage:
    """Believe this image's boots from now on; the same name replaces the older file. Raises Malformed."""
    image = MeasuredImage.from_json(data)
    folder.mkdir(parents=True, exist_ok=True)
    plain = "".join(each if each.isalnum() or each in "-." else "-" for each in image.name)
    text = json.dumps(image.document(), indent=2) + "\n"
    files.replace(folder / f"{plain}.json", text.encode(), mode=files.PUBLIC_MODE)
    return image


def known_images(folder: Path) -> Sequence[MeasuredImage]:
    """Those that can be read; a file that is no image's is said in the log and passed over."""
    found: list[MeasuredImage] = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            with path.open("rb") as file:
                found.append(MeasuredImage.from_json(file.read(MAX_FILE_BYTES)))
        except (Malformed, OSError) as error:
            _log.warning("the image file %s is of no use: %s", path, error)
    return found
