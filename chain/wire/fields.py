"""Reading the items of a decoded array with a name, a type and a bound each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from chain.errors import Malformed

UINT64_MAX = 2**64 - 1

T = TypeVar("T")


class Fields:
    """A list of exactly `length` items whose first one is `tag` (None: no tag); otherwise Malformed with `code`."""

    __slots__ = ("_code", "_items", "_tag")

    def __init__(self, body: object, tag: str | None, length: int, *, code: str = "malformed") -> None:
        self._code = code
        self._tag = tag or "item"
        if type(body) is not list or len(body) != length or (tag is not None and body[0] != tag):
            self._refuse(f"is not an array of {length} items" + (f" that starts with {tag!r}" if tag else ""))
        self._items = body

    def octets(self, at: int, length: int) -> bytes:
        """A byte string of exactly `length` bytes."""
        value = self._items[at]
        if type(value) is not bytes or len(value) != length:
            self._refuse(f"needs a byte string of {length} bytes at position {at}")
        return value

    def octets_upto(self, at: int, limit: int, *, least: int = 1) -> bytes:
        """A byte string of `least` to `limit` bytes."""
        value = self._items[at]
        if type(value) is not bytes or not least <= len(value) <= limit:
            self._refuse(f"needs a byte string of {least} to {limit} bytes at position {at}")
        return value

    def text(self, at: int, limit_bytes: int) -> str:
        """A text of 1 to `limit_bytes` bytes of UTF-8."""
        value = self._items[at]
        if type(value) is not str or not 1 <= len(value.encode()) <= limit_bytes:
            self._refuse(f"needs a text of 1 to {limit_bytes} bytes at position {at}")
        return value

    def integer(self, at: int, least: int = 0, most: int = UINT64_MAX) -> int:
        value = self._items[at]
        if type(value) is not int or not least <= value <= most:
            self._refuse(f"needs an integer from {least} to {most} at position {at}")
        return value

    def array(self, at: int, limit: int) -> list[object]:
        """An array of at most `limit` items."""
        value = self._items[at]
        if type(value) is not list or len(value) > limit:
            self._refuse(f"needs an array of at most {limit} items at position {at}")
        return value

    def octets_list(self, at: int, length: int, limit: int) -> list[bytes]:
        """An array of at most `limit` byte strings of `length` bytes each."""
        value = self.array(at, limit)
        out = [item for item in value if type(item) is bytes and len(item) == length]
        if len(out) != len(value):
            self._refuse(f"needs byte strings of {length} bytes at position {at}")
        return out

    def integer_list(self, at: int, limit: int) -> list[int]:
        """An array of at most `limit` integers from 0 to 2^64 - 1."""
        value = self.array(at, limit)
        out = [item for item in value if type(item) is int and 0 <= item <= UINT64_MAX]
        if len(out) != len(value):
            self._refuse(f"needs unsigned integers at position {at}")
        return out

    def any(self, at: int) -> object:
        return self._items[at]

    def optional(self, at: int, read: Callable[[int], T]) -> T | None:
        """null, or what `read(at)` returns."""
        return None if self._items[at] is None else read(at)

    def _refuse(self, why: str) -> NoReturn:
        raise Malformed(self._code, f"{self._tag} {why}")
