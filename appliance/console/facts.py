"""What there is to show: the agent's own words, and what this machine knows of its network. Read anew each time."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

RELEASE = Path("/etc/os-release")
PROBLEMS = Path("/run/dccn/problems.json")
MAX_FILE_BYTES = 64 * 1024


class State(StrEnum):
    """How far an appliance is on its way to earning."""

    starting = "starting"
    unconfigured = "no hub is set"
    claim = "waits to be claimed"
    joining = "looks for its hub"
    offline = "works without its hub"
    working = "works"
    stopped = "cannot work"


@dataclass(frozen=True, slots=True)
class Facts:
    """One look. `status` and `claim` are the agent's files, empty where it wrote none; unknown is None.

    `problems` are sentences about the owner's own settings.
    """

    hostname: str
    version: str | None
    addresses: tuple[str, ...]
    status: Mapping[str, Any]
    claim: Mapping[str, Any]
    problems: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        if not self.status:
            return State.starting
        if self.status.get("is_running") is False and self.status.get("problem"):
            return State.stopped
        if self.status.get("enrolled"):
            return State.working if self.status.get("connected") else State.offline
        if self.claim:
            return State.claim
        return State.joining if self.status.get("hub_url") else State.unconfigured

    @property
    def code(self) -> str | None:
        code = self.claim.get("code")
        return code if isinstance(code, str) else None


def gather(folder: Path, release: Path = RELEASE, problems: Path = PROBLEMS) -> Facts:
    """`folder` is where the agent leaves status and claim for everybody."""
    return Facts(
        hostname=socket.gethostname(),
        version=_version(release),
        addresses=tuple(_addresses()),
        status=_document(folder / "status.json"),
        claim=_document(folder / "claim.json"),
        problems=_sentences(problems),
    )


def _document(path: Path) -> Mapping[str, Any]:
    """A JSON object; empty while there is none that is whole."""
    found = _read(path)
    return found if isinstance(found, dict) else {}


def _sentences(path: Path) -> tuple[str, ...]:
    found = _read(path)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return json.loads(file.read(MAX_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        return None


def _addresses() -> Iterator[str]:
    for name, found in sorted(psutil.net_if_addrs().items()):
        if name != "lo":
            yield from (each.address for each in found if each.family == socket.AF_INET)


def _version(release: Path) -> str | None:
    try:
        lines = release.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("IMAGE_VERSION", "").strip('"') or None
