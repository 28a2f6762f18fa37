"""The state as a block sees it while it runs: decoded values, all writes held back until `commit`.

Decoding an account once and encoding it once per block is what makes a transfer cheap; holding writes back is what
makes a block that fails leave no trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar

from chain.errors import Faulty, Malformed
from chain.wire.state import ACCOUNT_PREFIX, Account, Entry, account_key

_PREFIX_BYTES = len(ACCOUNT_PREFIX)
_Kind = TypeVar("_Kind", bound=Entry)


class State(Protocol):
    """Keys and canonical values; `put(key, None)` removes."""

    def get(self, key: bytes) -> bytes | None: ...

    def put(self, key: bytes, value: bytes | None) -> None: ...


@dataclass(slots=True)
class Purse:
    """An account while the block runs; `loaded` is what the state held, to write only what changed."""

    balance_atto: int
    nonce: int
    loaded: tuple[int, int] | None


class Overlay:
    """A `State` over another one. Not to be shared between threads."""

    def __init__(self, below: State) -> None:
        self._below = below
        self._changes: dict[bytes, bytes | None] = {}
        self._unencoded: dict[bytes, Entry] = {}
        self._purses: dict[bytes, Purse] = {}
        self._entries: dict[bytes, Entry | None] = {}

    def purse(self, address: bytes) -> Purse:
        """The account at `address` to read and change in place; an absent one starts with (0, 0)."""
        purse = self._purses.get(address)
        if purse is None:
            data = self._read(account_key(address))
            if data is None:
                purse = Purse(0, 0, None)
            else:
                account = _account(data)
                purse = Purse(account.balance_atto, account.nonce, (account.balance_atto, account.nonce))
            self._purses[address] = purse
        return purse

    def entry(self, key: bytes, kind: type[_Kind]) -> _Kind | None:
        """The decoded value at `key`, None if there is none."""
        if key not in self._entries:
            data = self._read(key)
            self._entries[key] = None if data is None else _decoded(data, kind)
        entry = self._entries[key]
        assert entry is None or isinstance(entry, kind), f"{key!r} was read as another kind before"
        return entry

    def set_entry(self, key: bytes, entry: Entry | None) -> None:
        """Write `entry`, or remove the key; encoded when somebody reads the bytes, at the latest by `commit`."""
        self._entries[key] = entry
        self._unencoded.pop(key, None)
        self._changes[key] = None
        if entry is not None:
            self._unencoded[key] = entry

    def get(self, key: bytes) -> bytes | None:
        purse = self._purses.get(key[_PREFIX_BYTES:]) if key.startswith(ACCOUNT_PREFIX) else None
        if purse is None or _unchanged(purse):
            return self._read(key)
        return _account_bytes(purse.balance_atto, purse.nonce)

    def put(self, key: bytes, value: bytes | None) -> None:
        if key.startswith(ACCOUNT_PREFIX):
            self._purses.pop(key[_PREFIX_BYTES:], None)
        self._entries.pop(key, None)
        self._unencoded.pop(key, None)
        self._changes[key] = value

    def commit(self) -> None:
        """Write everything that changed to the state below, in ascending order of keys."""
        for address, purse in self._purses.items():
            if not _unchanged(purse):
                self._changes[account_key(address)] = _account_bytes(purse.balance_atto, purse.nonce)
                purse.loaded = (purse.balance_atto, purse.nonce)
        for key in sorted(self._changes):
            value = self._read(key)
            if value is not None or self._below.get(key) is not None:
                self._below.put(key, value)
        self._changes.clear()

    def _read(self, key: bytes) -> bytes | None:
        entry = self._unencoded.pop(key, None)
        if entry is not None:
            self._changes[key] = _encoded(entry)
        if key in self._changes:
            return self._changes[key]
        return self._below.get(key)


def _unchanged(purse: Purse) -> bool:
    return (purse.balance_atto, purse.nonce) == (purse.loaded or (0, 0))


# A payment's two accounts are read and written when it is checked, checked again, proposed and executed.
@lru_cache(maxsize=16_384)
def _account(data: bytes) -> Account:
    return _decoded(data, Account)


@lru_cache(maxsize=16_384)
def _account_bytes(balance_atto: int, nonce: int) -> bytes:
    return _encoded(Account(balance_atto, nonce))


def _decoded(data: bytes, kind: type[_Kind]) -> _Kind:
    """A value that the ledger wrote must read; that it does not is no transaction's fault."""
    try:
        return kind.decode(data)
    except Malformed as error:
        raise Faulty("state_corrupt", error.message) from error


def _encoded(entry: Entry) -> bytes:
    try:
        return entry.encode()
    except Malformed as error:
        raise Faulty("state_corrupt", f"{entry} cannot be written: {error.message}") from error
