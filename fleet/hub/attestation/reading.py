"""Reading the TPM's big-endian and the firmware's little-endian structures from bytes that nobody vouches for."""

from __future__ import annotations

from typing import NoReturn

from chain.errors import Malformed


class Reading:
    """A cursor over `data`; every step checks that there is enough. `what` names the structure in errors."""

    __slots__ = ("_at", "_data", "_order", "_what")

    def __init__(self, data: bytes, what: str, *, little_endian: bool = False) -> None:
        self._data = data
        self._what = what
        self._order: str = "little" if little_endian else "big"
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    @property
    def at(self) -> int:
        return self._at

    def octets(self, count: int) -> bytes:
        """The next `count` bytes. Raises Malformed when there are fewer."""
        if count > self.left:
            self.refuse(f"is cut short: {count} bytes are wanted at {self._at}, {self.left} are left")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, width: int) -> int:
        """An unsigned integer of `width` bytes."""
        return int.from_bytes(self.octets(width), "little" if self._order == "little" else "big")

    def sized(self, limit: int, width: int = 2) -> bytes:
        """A byte string behind its length, of at most `limit` bytes."""
        length = self.number(width)
        if length > limit:
            self.refuse(f"has a part of {length} bytes, the limit is {limit}")
        return self.octets(length)

    def end(self) -> None:
        """Raises Malformed when something follows."""
        if self.left:
            self.refuse(f"has {self.left} bytes too many")

    def refuse(self, why: str) -> NoReturn:
        raise Malformed("attestation_invalid", f"the {self._what} {why}")
