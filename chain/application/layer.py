"""State that is not committed yet, over state that is."""

from __future__ import annotations

from chain.application.history import Reader


class Layer:
    """Reads through to what lies below and keeps what is put: the ledger's `State` for one block."""

    def __init__(self, below: Reader) -> None:
        self._below = below
        self._puts: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        if key in self._puts:
            return self._puts[key]
        return self._below(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        self._puts[key] = value

    def changes(self) -> dict[bytes, bytes | None]:
        """What really differs from below, ascending by key."""
        return {key: self._puts[key] for key in sorted(self._puts) if self._puts[key] != self._below(key)}
