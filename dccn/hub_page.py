"""What a running hub on this machine shows, asked of its page's API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from chain.errors import Unavailable
from fleet.hub.settings import PORTS_FILE

TIMEOUT_S = 10


def overview(home: Path) -> dict[str, Any]:
    """`GET /api/overview` of the hub in this home. Raises Unavailable `unreachable` when it does not run."""
    try:
        port = json.loads((home / PORTS_FILE).read_text())["page"]
        with urlopen(f"http://127.0.0.1:{port}/api/overview", timeout=TIMEOUT_S) as answer:
            document: dict[str, Any] = json.load(answer)
            return document
    except (OSError, URLError, ValueError, KeyError, TypeError) as error:
        raise Unavailable("unreachable", f"the hub in {home} does not answer: {error}") from None
