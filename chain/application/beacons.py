"""The chain of beacons: what a proposer proves, what everybody checks, where past values are.

beacon_h = SHA-256("slsbft/beacon" ‖ beta), beta proven over CBOR ["slsbft/vrf", chain_id, height, beacon_(h-1)].
"""

from __future__ import annotations

from functools import lru_cache

from chain import slsbft
from chain.application import block_meta
from chain.application.database import Database
from chain.crypto import vrf
from chain.errors import Refused
from chain.ledger.operators import vrf_public
from chain.ledger.overlay import State
from chain.wire.transactions import beacon_tx, decode_beacon_tx


class Beacons:
    """Beacons of one chain; `genesis` is that of height 0."""

    def __init__(self, chain_id: str, genesis: bytes, store: Database) -> None:
        self._chain_id = chain_id
        self._genesis = genesis
        self._store = store

    def at(self, height: int) -> bytes:
        """The committed beacon of a height (32 bytes); raises Refused `height_unknown`."""
        beacon = self._genesis if height <= 0 else block_meta.beacon_at(self._store, height)
        if beacon is None:
            raise Refused("height_unknown", f"no beacon of height {height} here")
        return beacon

    def prove(self, secret: bytes, height: int) -> bytes:
        """Transaction 0 of the block at `height` by the holder of a VRF secret."""
        return beacon_tx(vrf.prove(secret, self._alpha(height)))

    def check(self, state: State, proposer: bytes, height: int, tx: bytes) -> bytes:
        """The beacon of `height` that transaction 0 proves; raises Refused `beacon_invalid` or `malformed`."""
        public = vrf_public(state, proposer)
        if public is None:
            raise Refused("beacon_invalid", f"proposer {proposer.hex().upper()} is no validator")
        beta = _verified(public, self._alpha(height), decode_beacon_tx(tx))
        if beta is None:
            raise Refused("beacon_invalid", f"the VRF proof of proposer {proposer.hex().upper()} at height {height}")
        return slsbft.next_beacon(beta)

    def _alpha(self, height: int) -> bytes:
        return slsbft.vrf_alpha(self._chain_id, height, self.at(height - 1))


@lru_cache(maxsize=16)
def _verified(public: bytes, alpha: bytes, pi: bytes) -> bytes | None:
    """`vrf.verify`, remembered: every validator of one process and FinalizeBlock check the same proof (1.2 ms each)."""
    return vrf.verify(public, alpha, pi)
