"""Where the parts keep their data unless --home says otherwise."""

from __future__ import annotations

import os
from pathlib import Path


def data_home(part: str) -> Path:
    """`$XDG_DATA_HOME/dccn/<part>`, by default under `~/.local/share`."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "dccn" / part
