"""Bans, in a file that the running gateway and `dccn gateway ban` and `unban` share: it survives a restart."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from chain import files
from chain.errors import Faulty
from chain.gateway.admission.watched import WatchedFile

BANS_MAX: Final = 10_000
BANS_MAX_BYTES: Final = 8 << 20

_log = logging.getLogger(__name__)


class Ban(msgspec.Struct, frozen=True):
    """`until_s` is in seconds since the Unix epoch, None for ever."""

    until_s: float | None
    why: str


class Bans:
    """Bans by the name of a peer. `now_s` is the wall clock, since they outlive the process."""

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        """Raises Faulty `home_invalid` for a file that is none of ours."""
        self._path = path
        self._now_s = now_s
        self._watched = WatchedFile(path, now_s)
        self._bans = self._read()

    def left_s(self, name: str) -> float | None:
        """How long the peer's ban still lasts (infinite: for ever); None without a ban."""
        if self._watched.changed():
            try:
                self._bans = self._read()
            except Faulty as error:
                _log.error("%s; the bans stay as they were", error)
        ban = self._bans.get(name)
        if ban is None:
            return None
        left = float("inf") if ban.until_s is None else ban.until_s - self._now_s()
        return left if left > 0 else None

    def all(self) -> dict[str, Ban]:
        """Those that still last, by name."""
        now = self._now_s()
        return {name: ban for name, ban in sorted(self._read().items()) if ban.until_s is None or ban.until_s > now}

    def put(self, name: str, for_s: float | None, why: str) -> None:
        """Ban a peer, or change its ban; None is for ever. Over `BANS_MAX` those that end first go."""
        until_s = None if for_s is None else self._now_s() + for_s
        with self._alone() as bans:
            bans[name] = Ban(until_s, why)
            while len(bans) > BANS_MAX:
                del bans[min(bans, key=lambda each: bans[each].until_s or float("inf"))]

    def lift(self, name: str) -> bool:
        """Whether there was a ban."""
        with self._alone() as bans:
            return bans.pop(name, None) is not None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[dict[str, Ban]]:
        """The bans that last, to be changed; written when the block ends, by one process at a time."""
        self._path.parent.mkdir(mode=files.FOLDER_MODE, parents=True, exist_ok=True)
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, files.PRIVATE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            bans = self.all()
            yield bans
            files.replace(self._path, msgspec.json.format(msgspec.json.encode(bans), indent=1) + b"\n")
            self._bans = bans
        finally:
            os.close(lock)

    def _read(self) -> dict[str, Ban]:
        data = files.read(self._path, BANS_MAX_BYTES)
        try:
            return {} if data is None else msgspec.json.decode(data, type=dict[str, Ban])
        except msgspec.MsgspecError as error:
            raise Faulty("home_invalid", f"reading the bans in {self._path}: {error}") from None
