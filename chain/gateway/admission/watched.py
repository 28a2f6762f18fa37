"""A file that somebody else may write: looked at once a second, read again when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

LOOK_AGAIN_S: Final = 1.0


class WatchedFile:
    """Tells whether the file changed since the last look; its first look is when it is made."""

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        self._path = path
        self._now_s = now_s
        self._looked_s = now_s()
        self._seen = self._signature()

    def changed(self) -> bool:
        now = self._now_s()
        if abs(now - self._looked_s) < LOOK_AGAIN_S:
            return False
        self._looked_s = now
        seen = self._signature()
        if seen == self._seen:
            return False
        self._seen = seen
        return True

    def _signature(self) -> tuple[int, int, int] | None:
        """What changes when somebody writes the file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
