"""A release folder as a machine would see it: from its trusted root to every byte that it gives out."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from appliance.agent.updates import catalogue
from appliance.agent.updates.sources import FolderSource
from appliance.releases import additions
from appliance.releases.repository import TARGETS, Repository
from chain.errors import Refused


@dataclass(frozen=True, slots=True)
class Verified:
    """What held: offers by channel and profile, files whose hash is the signed one, and their bytes."""

    offers: int
    files: int
    size_bytes: int


def verify(repository: Repository, trusted_root: bytes) -> Verified:
    """Look for every release that the folder has, as its machines do, and hash every file that is signed.

    Raises Refused `update_untrusted` for metadata that no machine would take (expired ones too), Refused
    `release_invalid` for a file that is missing or is another one than was signed.
    """
    source, offers, size_bytes = FolderSource(repository.folder), 0, 0
    with tempfile.TemporaryDirectory(prefix="dccn-releases-") as state:
        for one in additions.releases(repository.targets):
            offer = catalogue.newest(source, trusted_root, Path(state), channel=one["channel"], profile=one["profile"])
            if offer is None or offer.description.release != one["release"]:
                raise Refused("release_invalid", f"release {one['release']} of {one['channel']} is not offered")
            offers += 1
    for target in repository.targets.targets.values():
        (prefixed,) = target.get_prefixed_paths()
        path = repository.folder / TARGETS / prefixed
        if _digest(path) != target.hashes["sha256"] or path.stat().st_size != target.length:
            raise Refused("release_invalid", f"{path} is not the file that was signed")
        size_bytes += target.length
    return Verified(offers, len(repository.targets.targets), size_bytes)


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
