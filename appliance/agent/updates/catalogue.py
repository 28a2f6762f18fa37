"""Which release a source offers to this machine, by the word of the release keys and nobody else's.

python-tuf does the work: it follows the roots from the image's own one, and refuses metadata that are expired, older
than what was seen, mixed or not signed by enough keys. What it has seen is kept in the state folder; without it (after
a factory reset) trust begins again with the image's root.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater, UpdaterConfig

from appliance import verity
from appliance.agent.updates.sources import Fetcher, Source
from appliance.releases.description import (
    KERNEL,
    KERNEL_TREE,
    MAX_DESCRIPTION_BYTES,
    ROOT,
    ROOT_TREE,
    Description,
    channel_target,
)
from chain import files
from chain.errors import Malformed, Refused, Unavailable

METADATA: Final = "metadata"
NEEDED: Final = (ROOT, ROOT_TREE, KERNEL, KERNEL_TREE)
MOST_ROOTS: Final = 64
MAX_KERNEL_BYTES: Final = 256 << 20
MAX_TREE_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Offer:
    """A release that may be installed: what it is, and each part's path, length in bytes and SHA-256."""

    description: Description
    parts: Mapping[str, Part]
    source: Source


@dataclass(frozen=True, slots=True)
class Part:
    """`path` is below the release folder."""

    path: str
    length: int
    sha256: bytes


def newest(source: Source, trusted_root: bytes, state: Path, *, channel: str, profile: str) -> Offer | None:
    """The release that the channel has for this profile; None when it has none.

    Raises Refused `update_untrusted` (with `expired` among its words when the metadata are too old, by this machine's
    clock), Unavailable `unreachable`, Faulty `disk_full` or `home_invalid`.
    """
    folder = state / METADATA
    try:
        folder.mkdir(mode=files.FOLDER_MODE, parents=True, exist_ok=True)
        config = UpdaterConfig(max_root_rotations=MOST_ROOTS)
        updater = Updater(
            str(folder), "metadata", target_base_url="targets", fetcher=Fetcher(source), config=config,
            bootstrap=trusted_root,
        )  # fmt: skip
        updater.refresh()
        _make_durable(folder)
        pointer = updater.get_targetinfo(channel_target(channel, profile))
        return None if pointer is None else _offer(updater, pointer, source, profile)
    except ExpiredMetadataError as error:
        raise Refused("update_untrusted", f"{source.name}: expired metadata: {error}") from None
    except DownloadError as error:
        raise Unavailable("unreachable", f"{source.name}: {error.__cause__ or error}") from None
    except (RepositoryError, ValueError) as error:
        raise Refused("update_untrusted", f"{source.name}: {str(error)[:300]}") from None
    except OSError as error:
        raise files.as_faulty(error, f"keeping what {source.name} has signed") from error


def _offer(updater: Updater, pointer: TargetFile, source: Source, profile: str) -> Offer:
    if pointer.length > MAX_DESCRIPTION_BYTES:
        raise Refused("update_untrusted", f"{source.name}: a description of {pointer.length} bytes")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(updater.download_target(pointer, str(Path(folder, "release.json")))).read_bytes()
    try:
        description = Description.decode(data)
    except Malformed as error:
        raise Refused("update_untrusted", f"{source.name}: {error.message}") from None
    parts = {name: _part(updater.get_targetinfo(description.part(name)), name, description) for name in NEEDED}
    if description.profile != profile or pointer.custom != description.mark:
        raise Refused("update_untrusted", f"{source.name}: release {description.release} is not for {profile}")
    _check_sizes(parts, description)
    return Offer(description, parts, source)


def _part(target: TargetFile | None, name: str, description: Description) -> Part:
    if target is None:
        raise Refused("update_untrusted", f"release {description.release} has no {name}")
    digest = target.hashes.get("sha256", "")
    if target.custom != description.mark or len(digest) != 2 * verity.DIGEST_BYTES:
        raise Refused("update_untrusted", f"{target.path} is not of release {description.release}")
    (path,) = target.get_prefixed_paths()
    return Part(f"targets/{path}", target.length, bytes.fromhex(digest))


def _check_sizes(parts: Mapping[str, Part], description: Description) -> None:
    """Every tree is of the size that its part asks for; no part is larger than any machine could hold."""
    for data, tree in ((ROOT, ROOT_TREE), (KERNEL, KERNEL_TREE)):
        blocks = -(-parts[data].length // verity.BLOCK_BYTES)
        if not blocks or verity.hash_area_bytes(blocks) != parts[tree].length:
            raise Refused("update_untrusted", f"{tree} of release {description.release} is not of the size of {data}")
    if parts[KERNEL].length > MAX_KERNEL_BYTES or parts[ROOT_TREE].length > MAX_TREE_BYTES:
        raise Refused("update_untrusted", f"release {description.release} is larger than any machine's disk")


def _make_durable(folder: Path) -> None:
    """python-tuf renames without flushing: what was seen must not be forgotten by a power cut, or older would pass."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_symlink():
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
