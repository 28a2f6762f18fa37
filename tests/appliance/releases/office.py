"""Those who release: three release keys of which two are needed, and one that renews the timestamp."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from appliance.releases import additions, keys, repository
from appliance.releases.repository import Lifetimes, Repository
from tests.appliance.releases import small_build

NOW = datetime.now(UTC).replace(microsecond=0)
LIFETIMES = Lifetimes()


class Office:
    """Two of three release keys make a release; one more key renews the timestamp."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "releases"
        self.keys = [keys.make(folder / f"keys/{number}.pem") for number in range(3)]
        self.online = keys.make(folder / "keys/timestamp.pem")
        repository.create(self.folder, self.keys, 2, self.online, NOW, LIFETIMES)
        self.builds = folder / "builds"

    def open(self) -> Repository:
        return Repository.open(self.folder)

    def add(
        self, version: str, release: int, *, root: bytes | None = None, profile: str = "qemu-test", now: datetime = NOW
    ) -> Repository:
        build = additions.Build.read(small_build.write(self.builds, version, root, profile=profile))
        opened = self.open()
        additions.add(opened, build, release=release, channel="stable", now=now, lifetimes=LIFETIMES)
        return opened

    def release(self, parts: Path, release: int) -> None:
        """Give out a build's update folder."""
        opened = self.open()
        additions.add(
            opened, additions.Build.read(parts), release=release, channel="stable", now=NOW, lifetimes=LIFETIMES
        )
        assert self.publish(opened)

    def publish(self, opened: Repository, *signers: CryptoSigner, now: datetime = NOW) -> bool:
        opened.sign(signers or self.keys[:2])
        return opened.publish(self.online, now, LIFETIMES)
