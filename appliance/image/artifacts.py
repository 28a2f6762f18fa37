"""What an image holds that is neither Debian's nor ours: `artifacts.lock`, and the files themselves.

A file is taken from a folder (by its hash, `sha256/<hex>`, or by its name) or, when asked for, fetched from where the
lock says; either way only with the hash of the lock. A build names everything that it lacks at once.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import urllib3

from chain.errors import DccnError, Faulty, Malformed, Unavailable

LOCK: Final = Path(__file__).with_name("artifacts.lock")
CONNECT_TIMEOUT_S: Final = 6.0
READ_TIMEOUT_S: Final = 30.0
MAX_BYTES: Final = 1024 * 1024 * 1024
CHUNK_BYTES: Final = 1024 * 1024
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TEXTS: Final = ("name", "version", "part", "url", "sha256", "licence")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of the lock; `part` is what of an image needs it, `size` in bytes where it is known."""

    name: str
    version: str
    part: str
    url: str
    sha256: str
    licence: str
    size: int | None = None
    optional: bool = False

    @property
    def file(self) -> str:
        """The name under which its publisher has it."""
        return unquote(urlsplit(self.url).path.rsplit("/", 1)[1])


def read(path: Path = LOCK) -> list[Artifact]:
    """Raises Malformed `usage` for a lock that is not there, or an entry that lacks something or has too much."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Malformed("usage", f"reading {path}: {error}") from None
    entries = document.pop("artifact", [])
    if document or not isinstance(entries, list):
        raise Malformed("usage", f"{path} holds something other than [[artifact]]: {', '.join(document) or 'no list'}")
    found = [_artifact(entry, f"{path}, artifact {number}") for number, entry in enumerate(entries, 1)]
    if len({each.name for each in found}) != len(found):
        raise Malformed("usage", f"{path} names an artifact twice")
    return found


def parts(artifacts: Iterable[Artifact]) -> list[str]:
    """The parts of an image that artifacts are for."""
    return sorted({each.part for each in artifacts})


def gather(
    wanted: Collection[str], folder: Path, *, say: Say, fetching: bool = False, lock: Path = LOCK
) -> dict[Artifact, Path]:
    """The file of every artifact of the `wanted` parts; with `fetching`, brought if it is missing.

    Raises Unavailable `artifacts_missing` with all that are not there or not the right ones.
    """
    found: dict[Artifact, Path] = {}
    lacking: list[str] = []
    for artifact in read(lock):
        if artifact.part not in wanted:
            continue
        try:
            found[artifact] = fetch(artifact, folder, say) if fetching else at_hand(artifact, folder)
        except DccnError as error:
            if artifact.optional:
                say(f"without {artifact.name}: {error.message}")
            else:
                lacking.append(f"{artifact.name} {artifact.version} ({artifact.url}): {error.message}")
    if lacking:
        raise Unavailable("artifacts_missing", f"{len(lacking)} missing:\n  " + "\n  ".join(lacking))
    return found


def at_hand(artifact: Artifact, folder: Path) -> Path:
    """Where `folder` has it; raises Unavailable `artifacts_missing` (not there) or Faulty `check_failed` (another)."""
    for path in (_place(artifact, folder), folder / artifact.file):
        if path.is_file():
            with path.open("rb") as file:
                _check(artifact, hashlib.file_digest(file, "sha256").hexdigest(), str(path))
            return path
    raise Unavailable("artifacts_missing", f"not in {folder}")


def fetch(artifact: Artifact, folder: Path, say: Say) -> Path:
    """The file, from `folder` or else from its publisher into it; raises Unavailable `unreachable` or Faulty."""
    try:
        return at_hand(artifact, folder)
    except Unavailable:
        pass
    place = _place(artifact, folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_suffix(".unfinished")
    say(f"fetching {artifact.name} {artifact.version}")
    try:
        _check(artifact, _download(artifact, unfinished), artifact.url)
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)
    return place


def _artifact(entry: object, where: str) -> Artifact:
    if not isinstance(entry, dict):
        raise Malformed("usage", f"{where} is no table")
    for key in _TEXTS:
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise Malformed("usage", f"{where}: {key} must be a text")
    unknown = entry.keys() - {*_TEXTS, "size", "optional"}
    if unknown:
        raise Malformed("usage", f"{where}: there is no {', '.join(sorted(unknown))}")
    size, optional = entry.get("size"), entry.get("optional", False)
    if _SHA256.fullmatch(entry["sha256"]) is None:
        raise Malformed("usage", f"{where}: sha256 must be 64 hex digits")
    if not entry["url"].startswith("https://") or _FILE.fullmatch(Artifact(**entry).file) is None:
        raise Malformed("usage", f"{where}: url must be the https address of a file")
    if not isinstance(optional, bool) or not (size is None or (type(size) is int and 0 < size <= MAX_BYTES)):
        raise Malformed("usage", f"{where}: size must be a number of bytes, optional true or false")
    return Artifact(**entry)


def _place(artifact: Artifact, folder: Path) -> Path:
    return folder / "sha256" / artifact.sha256


def _check(artifact: Artifact, sha256: str, source: str) -> None:
    if sha256 != artifact.sha256:
        raise Faulty("check_failed", f"{source} has SHA-256 {sha256}, artifacts.lock says {artifact.sha256}")


def _download(artifact: Artifact, target: Path) -> str:
    """Stream the artifact into `target`; returns its SHA-256."""
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
    limit = artifact.size or MAX_BYTES
    digest, length = hashlib.sha256(), 0
    try:
        with (
            urllib3.PoolManager(retries=urllib3.Retry(total=5, connect=0, read=0, redirect=5)) as pool,
            target.open("wb") as file,
        ):
            answer = pool.request("GET", artifact.url, timeout=timeout, preload_content=False, decode_content=False)
            if answer.status != 200:
                raise Unavailable("unreachable", f"fetching it: status {answer.status}")
            while length <= limit and (chunk := answer.read(CHUNK_BYTES)):
                length += len(chunk)
                digest.update(chunk)
                file.write(chunk)
            answer.release_conn()
    except urllib3.exceptions.HTTPError as error:
        cause = getattr(error, "reason", None) or error
        raise Unavailable("unreachable", f"fetching it: {type(cause).__name__}") from error
    if length > limit:
        raise Faulty("check_failed", f"{artifact.url} is longer than {limit} bytes")
    return digest.hexdigest()
