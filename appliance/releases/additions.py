"""Putting a build into a release folder: its parts are checked against each other and described."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.metadata import TargetFile, Targets

from appliance import uki, verity
from appliance.agent.updates.boot_entries import is_version, version_key
from appliance.image.measurement import measured_sections, pcr11
from appliance.releases.description import (
    KERNEL,
    KERNEL_TREE,
    MEASURED,
    PARTS,
    ROOT,
    ROOT_TREE,
    Description,
    channel_target,
)
from appliance.releases.repository import TARGETS, Lifetimes, Repository, copied
from chain import files
from chain.errors import DccnError, Malformed, Refused
from fleet.protocol.measured_image import MeasuredImage

KEPT = 3
"""Releases of one profile that stay in the folder: machines that were away fetch only the newest anyway."""


@dataclass(frozen=True, slots=True)
class Build:
    """The `….update` folder of a build, as its own kernel image describes it."""

    folder: Path
    version: str
    profile: str
    root_hash: bytes
    kernel_tree: bytes
    kernel_hash: bytes
    measured: bytes | None = None

    @classmethod
    def read(cls, folder: Path) -> Build:
        """Check every byte of the parts against the root hash. Raises Refused `release_invalid` with what is wrong."""
        missing = [name for name in PARTS if not (folder / name).is_file()]
        if missing:
            raise Refused("release_invalid", f"{folder} has no {', '.join(missing)}: give a build's .update folder")
        try:
            kernel = (folder / KERNEL).read_bytes()
            named, root_hash = uki.os_release(kernel), uki.root_hash(kernel)
            with (folder / ROOT).open("rb") as root, (folder / ROOT_TREE).open("rb") as tree:
                verity.verify(root, tree, root_hash)
        except DccnError as error:
            raise Refused("release_invalid", f"the parts in {folder} do not belong together: {error.message}") from None
        version, profile = named.get("IMAGE_VERSION", ""), named.get("VARIANT_ID", "")
        if not is_version(version) or not profile:
            raise Refused("release_invalid", f"the kernel image in {folder} names version {version!r}, {profile!r}")
        return cls(folder, version, profile, root_hash, *tree_over(kernel), _measured(folder, kernel))


def add(
    repository: Repository, build: Build, *, release: int, channel: str, now: datetime, lifetimes: Lifetimes
) -> Description:
    """Copy the parts and propose the release; it is nobody's before enough keys have signed.

    Raises Refused `release_invalid` unless number and version are above all that the profile has had.
    """
    described = Description(
        release=release,
        version=build.version,
        profile=build.profile,
        root_hash=build.root_hash.hex(),
        kernel_hash=build.kernel_hash.hex(),
    )
    Description.decode(described.encode())
    pointer = channel_target(channel, build.profile)
    targets = copied(repository.targets)
    _check_is_newer(targets, described)
    _drop_old(targets, build.profile)
    for name in PARTS:
        _take(repository, targets, described, described.part(name), build.folder / name)
    _take(repository, targets, described, described.part(KERNEL_TREE), build.kernel_tree)
    if build.measured is not None:
        _take(repository, targets, described, described.part(MEASURED), build.measured)
    _take(repository, targets, described, pointer, described.encode())
    repository.propose("targets", targets, now, lifetimes)
    return described


def _measured(folder: Path, kernel: bytes) -> bytes | None:
    """The build's word on what its boots leave in a TPM, if it brought one. Raises Refused `release_invalid`."""
    path = folder / MEASURED
    if not path.is_file():
        return None
    try:
        data = path.read_bytes()
        told = MeasuredImage.from_json(data)
    except Malformed as error:
        raise Refused("release_invalid", f"{path}: {error.message}") from None
    if told.pcr11 != pcr11(measured_sections(kernel)):
        raise Refused("release_invalid", f"{path} is about another kernel image than {folder / KERNEL}")
    return data


def tree_over(kernel: bytes) -> tuple[bytes, bytes]:
    """The dm-verity tree over a kernel image whose last block is filled with zeros, and its root hash."""
    blocks = -(-len(kernel) // verity.BLOCK_BYTES)
    padded = kernel.ljust(blocks * verity.BLOCK_BYTES, b"\0")
    return verity.build(io.BytesIO(padded), blocks, b"")


def releases(targets: Targets) -> list[dict[str, Any]]:
    """What the channels have, by channel and profile: release, version, profile, channel."""
    found = []
    for path, target in sorted(targets.targets.items()):
        channel, _, rest = path.partition("/")
        if rest.endswith("/release.json"):
            found.append({"channel": channel, **target.custom})
    return found


def sweep(repository: Repository) -> int:
    """Remove files that no signed target names any more; returns how many. Only for a folder where nothing waits."""
    if repository.pending:
        return 0
    named = {path for target in repository.targets.targets.values() for path in target.get_prefixed_paths()}
    folder = repository.folder / TARGETS
    stale = [path for path in folder.rglob("*") if path.is_file() and str(path.relative_to(folder)) not in named]
    for path in stale:
        path.unlink()
    return len(stale)


def _check_is_newer(targets: Targets, described: Description) -> None:
    for target in targets.targets.values():
        mark, release, version = target.custom, described.release, described.version
        if mark["profile"] != described.profile:
            continue
        if mark["release"] >= release:
            raise Refused("release_invalid", f"release {release} is not above {mark['release']}, which is there")
        if version_key(mark["version"]) >= version_key(version):
            newer = f"version {version} is not newer than {mark['version']}: machines would go on starting that one"
            raise Refused("release_invalid", newer)


def _drop_old(targets: Targets, profile: str) -> None:
    """Leave out the oldest releases that no channel points at."""
    pointed = {entry["release"] for entry in releases(targets) if entry["profile"] == profile}
    mine = {target.custom["release"] for target in targets.targets.values() if target.custom["profile"] == profile}
    kept = pointed | set(sorted(mine)[-(KEPT - 1) :])
    targets.targets = {
        path: target
        for path, target in targets.targets.items()
        if target.custom["profile"] != profile or target.custom["release"] in kept
    }


def _take(repository: Repository, targets: Targets, described: Description, path: str, source: Path | bytes) -> None:
    """Put a target's bytes under the name that carries their hash, and the target into the metadata."""
    if isinstance(source, bytes):
        target = TargetFile(len(source), {"sha256": hashlib.sha256(source).hexdigest()}, path)
    else:
        target = TargetFile.from_file(path, str(source), ["sha256"])
    target.unrecognized_fields["custom"] = described.mark
    (prefixed,) = target.get_prefixed_paths()
    place = repository.folder / TARGETS / prefixed
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        if isinstance(source, bytes):
            files.replace(place, source, mode=files.PUBLIC_MODE)
        elif not place.exists():
            unfinished = place.with_name(f".{place.name}.new")
            shutil.copyfile(source, unfinished)
            unfinished.chmod(files.PUBLIC_MODE)
            unfinished.replace(place)
    except OSError as error:
        raise files.as_faulty(error, f"copying {path} into {repository.folder}") from error
    targets.targets[path] = target
