"""Small files and folders that may not be there or hold anything: /proc, /sys, and what other programs wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 256 * 1024


def text(path: Path) -> str:
    """The content without white space around it; empty for none."""
    return _read(path).decode("utf-8", "replace").strip()


def document(path: Path) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        found = json.loads(_read(path))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def names(folder: Path) -> list[str]:
    """What is in a folder; empty for none."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError:
        return b""
