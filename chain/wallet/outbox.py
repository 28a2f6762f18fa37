"""What was signed here, written down before anybody sees it: after a crash the very same bytes go out again.

One file per transaction. A key of the user's own choice (`once`) makes a payment repeatable without paying twice.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from chain import files
from chain.crypto.address import address
from chain.errors import DccnError, Faulty, Malformed, Refused
from chain.wire.transactions import Transaction, decode

KEPT_MAX = 1_000
RECORD_MAX_BYTES = 4 << 20
_ONCE = re.compile(r"[A-Za-z0-9._:-]{1,80}", re.ASCII)
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Sent:
    """A signed transaction, the chain it is for, and the key that it must not be paid twice under."""

    chain_id: str
    transaction: Transaction
    once: str | None


class Outbox:
    """Signed transactions in `folder`, at most `KEPT_MAX`; the oldest go first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, sent: Sent) -> None:
        record = _Record(sent.chain_id, sent.transaction.encode().hex(), sent.once)
        files.replace(self._path(sent.transaction.hash), msgspec.json.encode(record))
        for path in self._paths()[:-KEPT_MAX]:
            path.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process picks a nonce or pays under a key meanwhile."""
        self._folder.mkdir(mode=files.FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def forget(self, tx_hash: bytes) -> None:
        """For what a node refused: its nonce is free again."""
        self._path(tx_hash).unlink(missing_ok=True)

    def get(self, tx_hash: bytes) -> Sent | None:
        """Raises Faulty `home_invalid` for a file that is not ours."""
        path = self._path(tx_hash)
        data = files.read(path, RECORD_MAX_BYTES)
        return None if data is None else _read(path, data)

    def paid_under(self, once: str, chain_id: str) -> Sent | None:
        """What was signed for this chain under the key; Malformed `usage` for a key that cannot be one."""
        if not _ONCE.fullmatch(once):
            raise Malformed("usage", f"a key has 1 to 80 of A-Z, a-z, 0-9 and . _ : -, not {once[:100]!r}")
        found = [sent for sent in self._all() if (sent.once, sent.chain_id) == (once, chain_id)]
        return found[-1] if found else None

    def next_nonce(self, account: bytes, chain_id: str, proven_nonce: int, proven_height: int) -> int:
        """The nonce after those that this account signed in a row and that may still come into a block."""
        waiting = {
            sent.transaction.nonce
            for sent in self._all()
            if sent.chain_id == chain_id and address(sent.transaction.sender) == account
            if sent.transaction.valid_until_height is None or sent.transaction.valid_until_height > proven_height
        }
        nonce = proven_nonce
        while nonce in waiting:
            nonce += 1
        return nonce

    def _all(self) -> list[Sent]:
        found = ((path, files.read(path, RECORD_MAX_BYTES)) for path in self._paths())
        return [_read(path, data) for path, data in found if data is not None]

    def _paths(self) -> list[Path]:
        """Oldest first."""
        if not self._folder.is_dir():
            return []
        dated = ((path.stat().st_mtime_ns, path) for path in self._folder.glob(f"*{_SUFFIX}"))
        return [path for _, path in sorted(dated)]

    def _path(self, tx_hash: bytes) -> Path:
        return self._folder / f"{tx_hash.hex()}{_SUFFIX}"


def same_payment(sent: Sent, unsigned: Transaction) -> Sent:
    """The one signed before, if it is what is wanted now; Refused `tx_duplicate` when the key stands for another."""
    before = sent.transaction
    if (before.type, before.sender, before.body) != (unsigned.type, unsigned.sender, unsigned.body):
        raise Refused("tx_duplicate", f"key {sent.once!r} stands for another transaction, {before.hash.hex()}")
    return sent


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    chain_id: str
    raw: str
    once: str | None


def _read(path: Path, data: bytes) -> Sent:
    try:
        record = msgspec.json.decode(data, type=_Record)
        return Sent(record.chain_id, decode(bytes.fromhex(record.raw)), record.once)
    except (ValueError, DccnError) as error:
        raise Faulty("home_invalid", f"{path} is not a transaction that was sent from here: {error}") from None
