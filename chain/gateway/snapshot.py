"""Several values of the state in one answer: all as they stood after the same block."""

from __future__ import annotations

from typing import TypeVar

from chain.errors import Refused
from chain.light.inclusion import verified_state
from chain.wallet.client import ChainClient
from chain.wire.state import PARAMETERS_KEY, Entry, decode_parameters

E = TypeVar("E", bound=Entry)


class Snapshot:
    """The first value read decides the height: the newest that can be proven. Raises what `ChainClient` does."""

    def __init__(self, client: ChainClient) -> None:
        self._light = client.light
        self.height = 0

    def read(self, key: bytes) -> bytes | None:
        value, self.height = verified_state(self._light, key, self.height)
        return value

    def entry(self, key: bytes, kind: type[E]) -> E | None:
        value = self.read(key)
        return None if value is None else kind.decode(value)

    def present(self, key: bytes, kind: type[E]) -> E:
        """For what every chain has: a node that proves its absence serves another chain than ours."""
        found = self.entry(key, kind)
        if found is None:
            raise Refused("proof_invalid", f"at height {self.height} the chain has no {key.decode()}")
        return found

    def parameters(self) -> dict[str, int]:
        value = self.read(PARAMETERS_KEY)
        if value is None:
            raise Refused("proof_invalid", f"at height {self.height} the chain has no parameters")
        return decode_parameters(value)
