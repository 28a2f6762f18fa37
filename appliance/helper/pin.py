"""The owner's PIN: what the console asks for before it does anything that cannot be taken back.

It is set at the first use, or stands in `dccn.toml`, which then counts: who can write that partition can wipe the disk
as well. Five wrong tries are free; then each costs a pause that doubles up to a day, and no restart shortens it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

from chain import files
from chain.errors import Malformed, Refused

FREE_TRIES: Final = 5
FIRST_PAUSE_S: Final = 30
LONGEST_PAUSE_S: Final = 24 * 3600
MAX_FILE_BYTES: Final = 4096
_DIGITS: Final = re.compile(r"[0-9]{4,12}", re.ASCII)
_SCRYPT: Final = {"n": 1 << 14, "r": 8, "p": 1, "dklen": 32}


@dataclass(frozen=True, slots=True)
class Pin:
    """`stored` is a file of the helper's own, on the data partition; `written` what `dccn.toml` says, if it does."""

    stored: Path
    written: Path
    _one_at_a_time: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def is_set(self) -> bool:
        return self._written() is not None or "hash" in self._state()

    def set(self, new: str) -> None:
        """Malformed for what is no PIN; Refused `pin_refused` where one is set already."""
        with self._one_at_a_time:
            if _DIGITS.fullmatch(new) and self.is_set():
                raise Refused("pin_refused", "setting a PIN where there is one")
            self.replace(new)

    def replace(self, new: str) -> None:
        """The next PIN, with no tries against it."""
        if not _DIGITS.fullmatch(new):
            raise Malformed("malformed", "a PIN is 4 to 12 digits")
        salt = secrets.token_bytes(16)
        self._keep({"salt": salt.hex(), "hash": _hash(new, salt).hex(), "wrong": 0, "last_ms": 0})

    def check(self, given: str, now_ms: int) -> None:
        """Refused `pin_refused` for a wrong PIN, for any within a pause (with `retry_after_s`), and where none is set.

        A try counts before its answer is known, so that pulling the plug does not make it free; and tries at the same
        time are looked at one after the other, so that they do not share one count.
        """
        with self._one_at_a_time:
            self._check(given, now_ms)

    def _check(self, given: str, now_ms: int) -> None:
        state = self._state()
        wrong, last_ms = int(state.get("wrong", 0)), int(state.get("last_ms", 0))
        wait_s = _wait_s(wrong, last_ms, now_ms)
        if wait_s > 0:
            raise _refused(f"another try after {wrong} wrong ones", wait_s)
        self._keep({**state, "wrong": wrong + 1, "last_ms": now_ms})
        if not self._is(given, state):
            raise _refused("a PIN that is not the owner's", _pause_s(wrong + 1))
        self._keep({**state, "wrong": 0, "last_ms": now_ms})

    def _is(self, given: str, state: dict[str, Any]) -> bool:
        written = self._written()
        if written is not None:
            return hmac.compare_digest(written.encode(), given.encode("utf-8", "replace"))
        if "hash" not in state:
            raise Refused("pin_refused", "a PIN where none is set yet")
        salt, wanted = bytes.fromhex(state["salt"]), bytes.fromhex(state["hash"])
        return hmac.compare_digest(_hash(given, salt), wanted)

    def _written(self) -> str | None:
        text = (files.read(self.written, MAX_FILE_BYTES) or b"").decode("ascii", "replace").strip()
        return text if _DIGITS.fullmatch(text) else None

    def _state(self) -> dict[str, Any]:
        data = files.read(self.stored, MAX_FILE_BYTES)
        try:
            found = json.loads(data) if data else {}
        except ValueError:
            # A damaged file must not open the door: as after many wrong tries, with a hash that nothing matches.
            return {"salt": "", "hash": "", "wrong": FREE_TRIES, "last_ms": 0}
        return found if isinstance(found, dict) else {}

    def _keep(self, state: dict[str, Any]) -> None:
        files.replace(self.stored, json.dumps(state, sort_keys=True).encode())


def _hash(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode("utf-8", "replace"), salt=salt, **_SCRYPT)


def _pause_s(wrong: int) -> int:
    """How long nothing is tried after this many wrong tries in a row."""
    if wrong < FREE_TRIES:
        return 0
    return int(min(FIRST_PAUSE_S * 2 ** (wrong - FREE_TRIES), LONGEST_PAUSE_S))


def _wait_s(wrong: int, last_ms: int, now_ms: int) -> int:
    """What is left of the pause; a clock that was set back does not lengthen it beyond the whole pause."""
    pause_s = _pause_s(wrong)
    passed_s = max(0, now_ms - last_ms) // 1000
    return max(0, pause_s - passed_s)


def _refused(attempted: str, retry_after_s: int) -> Refused:
    error = Refused("pin_refused", f"{attempted}; again in {retry_after_s} s" if retry_after_s else attempted)
    error.retry_after_s = retry_after_s or None
    return error
