"""What the gateway can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chain.gateway.admission.policy import DEFAULT_POLICY, Policy
from chain.gateway.tls import TlsFiles
from chain.wallet.trust import Trust


@dataclass(frozen=True, slots=True)
class TlsListener:
    """Where peers with client certificates connect."""

    listen: str
    port: int
    files: TlsFiles


@dataclass(frozen=True, slots=True)
class Settings:
    """`home` holds lists, bans and, in `trust`, the newest verified header; `index` is the URL of an explorer."""

    home: Path
    node: str = "http://127.0.0.1:26657"
    listen: str = "127.0.0.1"
    port: int = 8070
    tls: TlsListener | None = None
    policy: Policy = DEFAULT_POLICY
    trust: Trust | None = None
    index: str | None = None
    json: bool = False
