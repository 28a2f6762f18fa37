"""What the owner says about updates, and where the fleet's hub is: two files in /run, both read with distrust."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from appliance.agent.tls import context_for
from appliance.agent.updates.sources import FolderSource, HttpsSource, Source
from appliance.agent.updates.window import Window
from chain import files
from chain.errors import Malformed
from fleet.protocol.updates import RELEASES_PATH

T = TypeVar("T")
MAX_BYTES: Final = 64 * 1024
OWNER: Final = Path("run/dccn/updates.json")
HUB: Final = Path("run/dccn-face/hub.json")
STICK: Final = Path("run/dccn/stick")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`url` of a release folder in place of the hub's own; `window` as HH:MM-HH:MM."""

    enabled: bool = True
    channel: str = "stable"
    window: str = "02:00-05:00"
    url: str | None = None

    @property
    def opens(self) -> Window:
        return Window.parse(self.window)


class Hub(msgspec.Struct, frozen=True, kw_only=True):
    """Where the agent's hub is; `ca_pem` None: any authority that the system trusts vouches for it."""

    hub_url: str
    ca_pem: str | None = None


def load(root: Path = Path("/")) -> Settings:
    """The owner's settings; the defaults where there are none."""
    data = files.read(root / OWNER, MAX_BYTES)
    return Settings() if data is None else _decoded(data, Settings, root / OWNER)


def sources(settings: Settings, root: Path = Path("/")) -> list[Source]:
    """The stick that is plugged in, and the server: the owner's choice, else the hub. Empty: there is none yet."""
    found: list[Source] = [FolderSource(root / STICK)] if (root / STICK / "metadata").is_dir() else []
    if settings.url is not None:
        return [*found, HttpsSource(settings.url, context_for(None))]
    data = files.read(root / HUB, MAX_BYTES)
    if data is None:
        return found
    hub = _decoded(data, Hub, root / HUB)
    return [*found, HttpsSource(hub.hub_url.rstrip("/") + RELEASES_PATH, context_for(hub.ca_pem))]


def _decoded(data: bytes, kind: type[T], path: Path) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed("malformed", f"reading {path}: {error}") from None
