"""A real PostgreSQL of the test's own: a temporary cluster that listens on a socket in its own folder only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from chain import lifeline

DEBIAN = Path("/usr/lib/postgresql")
SERVER_ACCOUNT = "postgres"
"""PostgreSQL refuses to run as root; Debian's package makes this account for it."""


def programs() -> Path:
    """The folder of the newest version's programs."""
    versions = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    assert versions, "PostgreSQL is missing: tools/setup/packages postgresql"
    return versions[-1].parent


@dataclass
class Cluster:
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def url(self, database: str, user: str = SERVER_ACCOUNT) -> str:
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def create(self, database: str) -> str:
        """A new database; its URL."""
        self.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return self.url(database)

    def execute(self, statement: sql.Composed | sql.SQL, database: str = "postgres") -> None:
        with psycopg.connect(
            host=str(self.folder), user=SERVER_ACCOUNT, dbname=database, autocommit=True
        ) as connection:
            connection.execute(statement)

    def start(self) -> None:
        # No fsync: tests kill the indexer, never the machine.
        settings = ["-F", "-k", str(self.folder), "-c", "listen_addresses=", "-c", "shared_buffers=16MB"]
        with (self.folder / "log").open("ab") as log:
            self.process = lifeline.spawn(
                [programs() / "postgres", "-D", self.folder / "data", *settings], stderr=log, privileges=_privileges()
            )
        ready = [str(programs() / "pg_isready"), "-q", "-h", str(self.folder), "-t", "1"]
        while subprocess.run(ready, check=False).returncode != 0:
            assert self.process.poll() is None, (self.folder / "log").read_text()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends open transactions and connections; SIGQUIT does not even say goodbye."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None


@contextmanager
def cluster() -> Iterator[Cluster]:
    # Not under pytest's folder, which only its owner may enter; and a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="dccn-postgresql-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, SERVER_ACCOUNT, SERVER_ACCOUNT)
    made = Cluster(folder)
    try:
        making = ["initdb", "-D", folder / "data", "-U", SERVER_ACCOUNT, "-A", "trust", "-N"]
        with (folder / "log").open("wb") as log:
            initdb = lifeline.spawn(
                [programs() / making[0], *making[1:]], stdout=log, stderr=log, privileges=_privileges()
            )
        assert initdb.wait(60) == 0, (folder / "log").read_text()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


def _privileges() -> list[str]:
    return ["--reuid", SERVER_ACCOUNT, "--regid", SERVER_ACCOUNT, "--init-groups"] if os.geteuid() == 0 else []
