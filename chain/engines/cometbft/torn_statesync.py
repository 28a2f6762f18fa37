"""A node killed in the instant in which CometBFT takes a snapshot's height for its own, and cannot start any more.

CometBFT 0.38 writes its state and then the commit of that height; between the two its state has a height and its block
store none, and every start ends in a panic. No block was ever stored then, so nothing is lost by beginning anew; what
the consensus key has signed is kept.
"""

from __future__ import annotations

import logging
import re
import subprocess
from pathlib import Path

_PANIC = re.compile(rb"panic: state \(\d+\) and store \(0\) height mismatch")
_TAIL_BYTES = 8_192
_RESET_TIMEOUT_S = 60

log = logging.getLogger(__name__)


def was_torn(log_file: Path) -> bool:
    """Whether CometBFT's last words say that it was killed there."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - _TAIL_BYTES))
            return _PANIC.search(file.read()) is not None
    except OSError:
        return False


def begin_anew(program: Path, folder: Path) -> None:
    """Empties CometBFT's stores, which hold no block, so that its next start fetches a snapshot again."""
    log.warning("CometBFT was killed while it took in a snapshot; it begins anew")
    command = [str(program), "reset-state", "--home", str(folder)]
    done = subprocess.run(command, capture_output=True, timeout=_RESET_TIMEOUT_S, check=False)
    if done.returncode:
        log.error("CometBFT's stores could not be emptied: %s", done.stderr.decode("utf-8", "replace").strip()[-300:])
