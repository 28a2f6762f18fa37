"""How the hub reaches the broker, whoever runs it, and how devices do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BrokerEndpoint:
    """`host`:`port` and the PEM files for the hub's own mTLS connection; `public_host` is what devices are told."""

    host: str
    port: int
    ca: Path
    certificate: Path
    key: Path
    public_host: str
