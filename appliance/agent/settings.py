"""What the owner may set, and where everything lies in the agent's home."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from appliance.helper.client import SOCKET
from chain.errors import Malformed

SYSTEM_HOME = Path("/var/lib/dccn-agent")
FILE_NAME = "dccn.toml"
STATUS_FILE = "status.json"
TABLE = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One agent's settings; every field but `home` can stand in `<home>/dccn.toml` under `[agent]`.

    - `hub_url`: `https://host:port` of the hub's device API; needed once, to enrol.
    - `token`: one-time enrolment token; without it the agent shows a claim code.
    - `ca_pin`: hex of SHA-256(SPKI of the hub's CA)[:16], for enrolling without a token.
    - `trust_first_use`: take whichever CA the hub shows, where neither token nor pin names it (a private network).
    - `rpc_urls`: chain nodes to ask instead of those that the hub named.
    - `tpm`: where tpm2-tools find the TPM that shall hold the identity, such as `device:/dev/tpmrm0`.
    - `json`: events on stdout as JSON lines instead of sentences.
    - `prove`: answer PoG challenges.
    - `face_folder`: where status and claim code also stand for everybody on this machine, for console and page.
    - `helper_socket`: where the root helper of an appliance listens; without one nothing here is ever wiped.
    - `unattended`: nobody starts this agent again (the image): wait for the hub and for a claim however long it takes.
    """

    home: Path
    hub_url: str | None = None
    token: str | None = None
    ca_pin: str | None = None
    trust_first_use: bool = False
    owner_key_file: Path | None = None
    rpc_urls: tuple[str, ...] = ()
    tpm: str | None = None
    json: bool = False
    prove: bool = True
    unattended: bool = False
    face_folder: Path | None = None
    helper_socket: Path = SOCKET
    record_interval_ms: int | None = None
    telemetry_interval_s: float = 10.0
    peer_interval_s: float | None = None
    reconnect_cap_s: float = 60.0
    spool_max_bytes: int = 64 * 1024 * 1024
    receipt_timeout_s: float = 15.0
    http_timeout_s: float = 10.0

    @property
    def identity_file(self) -> Path:
        return self.home / "identity.key"

    @property
    def owner_file(self) -> Path:
        return self.owner_key_file or self.home / "owner.key"

    @property
    def enrolment_file(self) -> Path:
        return self.home / "enrolment.json"

    @property
    def clock_file(self) -> Path:
        return self.home / "clock.json"

    @property
    def spool_file(self) -> Path:
        return self.home / "spool.sqlite"

    @property
    def versions_file(self) -> Path:
        return self.home / "versions.json"

    @property
    def registration_file(self) -> Path:
        return self.home / "registration.json"

    @property
    def seen_file(self) -> Path:
        return self.home / "rewards.json"

    @property
    def claim_file(self) -> Path:
        """Where others find it: it is gone when the code is of no use any more."""
        return (self.face_folder or self.home) / "claim.json"

    @property
    def status_file(self) -> Path:
        return self.home / STATUS_FILE

    @property
    def tls_folder(self) -> Path:
        """In memory where systemd gives a runtime directory: this key is worth a day and is made again after a boot."""
        runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        return Path(runtime) if runtime else self.home / "tls"


def load(home: Path, **overrides: object) -> Settings:
    """Settings of `<home>/dccn.toml`, if there is one, with what the command line says on top (None: not said).

    In between comes what the system hands this service as its credential `dccn.toml`: the image's own settings.
    Raises Malformed `usage` for an unknown key, a value of the wrong kind or text that is not TOML.
    """
    path = home / FILE_NAME
    handed = os.environ.get("CREDENTIALS_DIRECTORY")
    sources = [path, Path(handed, FILE_NAME)] if handed else [path]
    stored = {name: value for each in sources if each.exists() for name, value in _read(each).items()}
    chosen = {**stored, **{name: value for name, value in overrides.items() if value is not None}}
    known = {item.name: str(item.type) for item in fields(Settings) if item.name != "home"}
    values: dict[str, Any] = {}
    for name, value in chosen.items():
        if name not in known:
            raise Malformed(
                "usage", f"{path}: there is no setting {name!r} in [{TABLE}]; known: {', '.join(sorted(known))}"
            )
        values[name] = _convert(name, value, known[name])
    return Settings(home=home, **values)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Malformed("usage", f"{path} is not TOML: {error}") from error
    table = document.get(TABLE, {})
    if not isinstance(table, dict):
        raise Malformed("usage", f"{path}: {TABLE} must be a table")
    return table


def _convert(name: str, value: object, kind: str) -> object:
    if kind.startswith("Path") and isinstance(value, str | Path):
        return Path(value).expanduser()
    if kind.startswith("tuple") and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if kind.startswith("float") and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    plain: dict[str, type] = {"str": str, "bool": bool, "int": int}
    wanted = plain.get(kind.partition(" ")[0])
    if wanted is not None and type(value) is wanted:
        return value
    raise Malformed("usage", f"setting {name!r} cannot be {value!r}; it wants {kind}")
