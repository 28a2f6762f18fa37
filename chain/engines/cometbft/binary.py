"""Which CometBFT runs here, and whether it is one that this application was tested with."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from chain.errors import Unavailable

VERSION = "0.38.26"
"""The pinned version, which `make engines` brings; other patches of its series speak the same ABCI and wire format."""

_ANSWER_TIMEOUT_S = 30


def cache() -> Path:
    """Where engines live: $DCCN_CACHE, else ~/.cache/dccn."""
    return Path(os.environ.get("DCCN_CACHE") or Path.home() / ".cache" / "dccn")


def find(given: str = "") -> Path:
    """The binary that the settings give, else the pinned one in the cache, else the one on the PATH, checked.

    Raises Unavailable `engine_missing` when there is none, or it is of another series than `VERSION`.
    """
    cached = cache() / "engines" / f"cometbft-{VERSION}" / "cometbft"
    on_path = shutil.which("cometbft")
    if given:
        path = Path(given)
    elif cached.is_file():
        path = cached
    elif on_path:
        path = Path(on_path)
    else:
        raise Unavailable("engine_missing", f"no CometBFT in {cached} and none on the PATH")
    found = version_of(path)
    if found.split(".")[:2] != VERSION.split(".")[:2]:
        raise Unavailable("engine_missing", f"{path} is CometBFT {found}; this application runs behind {VERSION}")
    return path


def version_of(path: Path) -> str:
    """What `cometbft version` says, without `v` and build; raises Unavailable `engine_missing`."""
    try:
        answer = subprocess.run(
            [path, "version"], capture_output=True, text=True, timeout=_ANSWER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable("engine_missing", f"{path} does not say its version: {error}") from None
    words = answer.stdout.split()
    if answer.returncode or not words:
        raise Unavailable("engine_missing", f"{path} does not say its version: {answer.stderr.strip()[:200]}")
    return words[-1].removeprefix("v").split("+")[0]
