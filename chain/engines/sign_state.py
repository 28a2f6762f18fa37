"""What every key of this node signed last: durable before a signature leaves, so that no crash makes a double sign."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from chain.consensus.recovery import Signed, may_sign
from chain.engines.durable import AlternatingFile, Sync
from chain.errors import Faulty, Malformed
from chain.wire import cbor


@dataclass(frozen=True, slots=True)
class SignedBefore:
    """The last signature of one key; `signed.content` is its sign bytes with time 0, so that times do not count."""

    signed: Signed
    timestamp_ns: int
    signature: bytes


class SignState:
    """One file pair for all keys of the node, so that the votes of one moment cost one fsync.

    `stage` as often as needed, `save` once, and only then let the signatures go.
    """

    def __init__(self, path: Path, sync: Sync = os.fdatasync) -> None:
        """Raises Faulty `state_corrupt` if the files exist and cannot be read: signing would be a gamble."""
        self._file = AlternatingFile(path, sync)
        self._last = _decode(path, self._file.content)
        self._dirty = False

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever signed here."""
        return not self._last

    def last(self, address: bytes) -> SignedBefore | None:
        """By validator address (20 bytes)."""
        return self._last.get(address)

    def allows(self, address: bytes, new: Signed) -> bool:
        before = self._last.get(address)
        return may_sign(before.signed if before else None, new)

    def stage(self, address: bytes, new: SignedBefore) -> None:
        """Takes note of a signature that `allows` let pass; nothing is on disk yet."""
        assert self.allows(address, new.signed), f"{address.hex()} must not sign {new.signed}"
        self._last[address] = new
        self._dirty = True

    def save(self) -> None:
        """Durable when it returns; raises Faulty `disk_full`."""
        if self._dirty:
            self._file.write(_encode(self._last))
            self._dirty = False

    def close(self) -> None:
        self._file.close()


def _encode(last: dict[bytes, SignedBefore]) -> bytes:
    """Canonical CBOR `[[address, height, round, step, content, timestamp, signature], …]`."""
    return cbor.encode(
        [
            [address, s.signed.height, s.signed.round, s.signed.step, s.signed.content, s.timestamp_ns, s.signature]
            for address, s in last.items()
        ]
    )


def _decode(path: Path, content: bytes | None) -> dict[bytes, SignedBefore]:
    if content is None:
        return {}
    try:
        return {
            address: SignedBefore(Signed(height, round_, step, signed), timestamp_ns, signature)
            for address, height, round_, step, signed, timestamp_ns, signature in cbor.decode(content)
        }
    except (Malformed, TypeError, ValueError) as error:
        raise Faulty("state_corrupt", f"the sign state {path} cannot be read: {error}") from error
