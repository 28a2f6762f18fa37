"""A release folder: TUF metadata and the files they vouch for, to be given out by any web server or USB stick.

```
metadata/   1.root.json …, N.targets.json, N.snapshot.json, timestamp.json
targets/    <profile>/<version>/<sha256>.root.erofs …, <channel>/<profile>/<sha256>.release.json
pending/    a change that too few keys have signed so far; nobody is offered it
```

The release keys sign `root` and `targets` and can stay offline. One more key, which stays with the folder, signs
`snapshot` and `timestamp`: alone it can withhold news, but neither invent nor bring back a release.
Source: the TUF specification 1.0, through python-tuf.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Role, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from chain import files
from chain.errors import Faulty, Malformed, Refused

METADATA: Final = "metadata"
TARGETS: Final = "targets"
PENDING: Final = "pending"
OFFLINE_ROLES: Final = ("root", "targets")
ONLINE_ROLES: Final = ("snapshot", "timestamp")
MAX_METADATA_BYTES: Final = 5_000_000
MOST_KEYS: Final = 32


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long signatures count: those of the offline keys, and those that say that nothing newer is there."""

    offline: timedelta = timedelta(days=365)
    online: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a change of one role is: signatures that count, and how many it takes."""

    role: str
    signed: int
    needed: int

    @property
    def is_complete(self) -> bool:
        return self.signed >= self.needed


class Repository:
    """The newest metadata of a folder, and the change that waits for signatures."""

    def __init__(self, folder: Path, roles: dict[str, Metadata[Any]], pending: dict[str, Metadata[Any]]) -> None:
        self.folder = folder
        self.roles = roles
        self.pending = pending

    @classmethod
    def open(cls, folder: Path) -> Repository:
        """Raises Malformed `usage` for a folder that is none, Faulty `release_invalid` for one that is damaged."""
        metadata = folder / METADATA
        newest = {role: _newest(metadata, role) for role in (*OFFLINE_ROLES, "snapshot")}
        paths = {**newest, "timestamp": metadata / "timestamp.json"}
        if newest["root"] is None:
            raise Malformed("usage", f"{folder} holds no releases: make it with dccn release init")
        waiting = {role: _read(path) for role in OFFLINE_ROLES if (path := folder / PENDING / f"{role}.json").exists()}
        return cls(folder, {role: _read(path) for role, path in paths.items() if path is not None}, waiting)

    @property
    def root(self) -> Root:
        signed: Root = self.roles["root"].signed
        return signed

    @property
    def targets(self) -> Targets:
        signed: Targets = self.roles["targets"].signed
        return signed

    def propose(self, role: str, signed: Root | Targets, now: datetime, lifetimes: Lifetimes) -> None:
        """Let `signed` become the role's next version once enough keys have signed it.

        Raises Refused `release_invalid` while another change of this role waits.
        """
        if role in self.pending:
            raise Refused("release_invalid", f"a change of {role} waits in {self.folder / PENDING}: sign or remove it")
        signed.version = self.roles[role].signed.version + 1
        signed.expires = _whole_seconds(now) + lifetimes.offline
        self.pending[role] = Metadata(signed)
        self._save_pending()

    def sign(self, signers: Sequence[CryptoSigner]) -> list[Progress]:
        """Add these keys' signatures to all that waits. Raises Refused `release_unsigned` for a key that has no say."""
        for signer in signers:
            keyid = signer.public_key.keyid
            mine = [role for role in self.pending if keyid in self._keys_of(role)]
            if not mine:
                raise Refused("release_unsigned", f"key {keyid[:12]}… has no say in what waits in {self.folder}")
            for role in mine:
                self.pending[role].sign(signer, append=True)
        self._save_pending()
        return self.progress()

    def progress(self) -> list[Progress]:
        """How far each waiting change is; a new root needs its predecessor's keys as well as its own."""
        found = []
        for role, metadata in self.pending.items():
            payload, signatures = metadata.signed_bytes, metadata.signatures
            parents = {"root": (self.root, self._next_root), "targets": (self._next_root,)}[role]
            for parent in parents:
                result = parent.get_verification_result(role, payload, signatures)
                found.append(Progress(role, len(result.signed), result.threshold))
        return found

    def publish(self, online: CryptoSigner, now: datetime, lifetimes: Lifetimes) -> bool:
        """Put a complete change in force, and say anew that nothing newer is there. False: a change still waits.

        The timestamp is written last: until then nobody is pointed at anything new.
        Raises Refused `release_unsigned` for another key than the one that the root names for this.
        """
        is_complete = all(each.is_complete for each in self.progress())
        root = self._next_root if is_complete else self.root
        keyid = online.public_key.keyid
        if any(keyid not in root.roles[role].keyids for role in ONLINE_ROLES):
            raise Refused("release_unsigned", f"key {keyid[:12]}… is not the one that renews the timestamp")
        if is_complete:
            self.roles.update(self.pending)
            for role, metadata in self.pending.items():
                self._write(f"{metadata.signed.version}.{role}", metadata)
        self._renew(online, now, lifetimes)
        if is_complete:
            self.drop_pending()
        return is_complete

    def drop_pending(self) -> None:
        """Forget what waits for signatures."""
        for role in OFFLINE_ROLES:
            (self.folder / PENDING / f"{role}.json").unlink(missing_ok=True)
        self.pending.clear()

    @property
    def _next_root(self) -> Root:
        signed: Root = self.pending.get("root", self.roles["root"]).signed
        return signed

    def _keys_of(self, role: str) -> set[str]:
        return {keyid for root in (self.root, self._next_root) for keyid in root.roles[role].keyids}

    def _renew(self, online: CryptoSigner, now: datetime, lifetimes: Lifetimes) -> None:
        expires = _whole_seconds(now) + lifetimes.online
        snapshot: Snapshot = self.roles["snapshot"].signed
        snapshot.meta["targets.json"] = MetaFile(self.targets.version)
        timestamp: Timestamp = self.roles["timestamp"].signed
        for role, signed in (("snapshot", snapshot), ("timestamp", timestamp)):
            signed.version += 1
            signed.expires = expires
            if role == "timestamp":
                timestamp.snapshot_meta = MetaFile(snapshot.version)
            self.roles[role].sign(online)
        self._write(f"{snapshot.version}.snapshot", self.roles["snapshot"])
        self._write("timestamp", self.roles["timestamp"])

    def _save_pending(self) -> None:
        for role, metadata in self.pending.items():
            write(self.folder / PENDING / f"{role}.json", metadata)

    def _write(self, name: str, metadata: Metadata[Any]) -> None:
        write(self.folder / METADATA / f"{name}.json", metadata)


def create(
    folder: Path,
    signers: Sequence[CryptoSigner],
    threshold: int,
    online: CryptoSigner,
    now: datetime,
    lifetimes: Lifetimes,
) -> Repository:
    """A new, empty repository whose root every one of `signers` signs; `threshold` of them will make a release.

    Raises Malformed `usage` for a folder that is in use or numbers that make no sense.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Malformed("usage", f"{folder} is not empty")
    if not 1 <= threshold <= len(signers) <= MOST_KEYS:
        raise Malformed("usage", f"{threshold} of {len(signers)} keys cannot sign: 1 to all of at most {MOST_KEYS}")
    for place in (folder, folder / METADATA, folder / TARGETS, folder / PENDING):
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
    offline = _whole_seconds(now) + lifetimes.offline
    root = Root(
        expires=offline,
        roles={
            **{role: Role([], threshold) for role in OFFLINE_ROLES},
            **{role: Role([], 1) for role in ONLINE_ROLES},
        },
        consistent_snapshot=True,
    )
    for role in OFFLINE_ROLES:
        for signer in signers:
            root.add_key(signer.public_key, role)
    for role in ONLINE_ROLES:
        root.add_key(online.public_key, role)
    roles: dict[str, Metadata[Any]] = {
        "root": Metadata(root),
        "targets": Metadata(Targets(expires=offline)),
        "snapshot": Metadata(Snapshot()),
        "timestamp": Metadata(Timestamp()),
    }
    for role in OFFLINE_ROLES:
        for signer in signers:
            roles[role].sign(signer, append=True)
    repository = Repository(folder, roles, {})
    for role in OFFLINE_ROLES:
        write(folder / METADATA / f"1.{role}.json", roles[role])
    repository.publish(online, now, lifetimes)
    return repository


def copied(signed: Any) -> Any:
    """A copy of a role's content to change, so that a change that is refused leaves nothing behind."""
    return copy.deepcopy(signed)


def write(path: Path, metadata: Metadata[Any]) -> None:
    """Metadata as a file that a web server may read, whole or not at all."""
    files.replace(path, metadata.to_bytes(JSONSerializer(compact=False)), mode=files.PUBLIC_MODE)


def _read(path: Path) -> Metadata[Any]:
    data = files.read(path, MAX_METADATA_BYTES)
    try:
        return Metadata.from_bytes(data or b"")
    except RepositoryError as error:
        raise Faulty("release_invalid", f"{path} is no TUF metadata: {error}") from None


def _newest(folder: Path, role: str) -> Path | None:
    numbered = {
        int(number): path
        for path in folder.glob(f"*.{role}.json")
        if (number := path.name.partition(".")[0]).isdecimal()
    }
    return numbered[max(numbered)] if numbered else None


def _whole_seconds(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(microsecond=0)
