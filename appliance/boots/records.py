"""The boots of this machine on its data partition: which system ran, whether it proved itself, and why not."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from appliance.agent.files import write_json

FILE: Final = Path("var/lib/dccn/boots.json")
KEPT: Final = 20
MAX_FILE_BYTES: Final = 256 * 1024

SILENT: Final = "did not reach its check"
UNOPENED: Final = "its root did not verify, and the loader was told to start another"

Outcome = Literal["begun", "healthy", "unhealthy"]


class Boot(msgspec.Struct, kw_only=True, forbid_unknown_fields=False):
    """One boot. `begun` that stays is a boot that did not live to its check: a panic, a hang or a power cut.

    `entry` is the loader's file name, `assessed` whether this boot had to prove itself; `gpus` and `network_cards` are
    what the system drives, for the next system to be measured against. `log` names the file with the last messages.
    """

    boot: str
    version: str | None = None
    slot: str | None = None
    entry: str | None = None
    assessed: bool = False
    begun_ms: int = 0
    decided_ms: int | None = None
    outcome: Outcome = "begun"
    reasons: list[str] = []
    gpus: int | None = None
    network_cards: int | None = None
    hub_reached: bool | None = None
    log: str | None = None


class Fallback(msgspec.Struct, kw_only=True):
    """A version that got `tries` boots and did not prove itself in any; `running` is what the loader went back to."""

    version: str
    running: str
    tries: int
    reasons: list[str] = []
    since_ms: int = 0

    @property
    def reason(self) -> str:
        return "; ".join(self.reasons) or SILENT


class Records(msgspec.Struct, kw_only=True):
    """The newest boot last; `fallback` while the boot partition still has an update that was given up."""

    boots: list[Boot] = []
    fallback: Fallback | None = None

    def this(self, boot: str) -> Boot | None:
        """The record of the boot with this id."""
        return next((each for each in reversed(self.boots) if each.boot == boot), None)

    def before(self, version: str | None) -> Boot | None:
        """The newest boot of another version that was healthy: what an update is measured against."""
        good = (each for each in reversed(self.boots) if each.outcome == "healthy" and each.version != version)
        return next(good, None)

    def begin(self, boot: Boot) -> None:
        """Add a boot; asked twice in one boot, the first answer stays."""
        if self.this(boot.boot) is None:
            self.boots = [*self.boots, boot][-KEPT:]


def load(path: Path) -> Records:
    """What was recorded; nothing, if there is none or a power cut or a fault of the disk spoilt it."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_FILE_BYTES), type=Records)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Records()


def save(path: Path, records: Records) -> None:
    """On the disk when this returns; everybody on this machine may read it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, msgspec.to_builtins(records))
