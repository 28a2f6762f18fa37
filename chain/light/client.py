"""Following a chain without trusting the node that answers: skipping verification by bisection."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

from chain.errors import Refused, Unavailable
from chain.light.rpc import QueryAnswer, RawBlock, TxAnswer
from chain.light.step import LightBlock, TrustedState, TrustOptions, verify, verify_own_commit
from chain.light.store import MemoryTrustStore, TrustStore
from chain.wire.cometbft import Header, SignedHeader, ValidatorSet

DEFAULT_OPTIONS = TrustOptions()

STEPS_MAX = 128
"""Verifications per request; bisection over 2^64 heights needs at most 64 pivots, twice that is a lying node."""

BACKWARD_MAX = 1_000
"""Headers below what is trusted are reached link by link, up to this many."""


class HeaderSource(Protocol):
    """The part of `RpcClient` that a witness needs."""

    def signed_header(self, height: int | None = None) -> SignedHeader: ...


class ChainSource(HeaderSource, Protocol):
    """The part of `RpcClient` that a light client and the proofs of `inclusion` need."""

    def validators(self, height: int | None = None) -> ValidatorSet: ...

    def abci_query(self, path: str, data: bytes, height: int = 0, prove: bool = True) -> QueryAnswer: ...

    def block(self, height: int | None = None) -> RawBlock: ...

    def tx(self, tx_hash: bytes) -> TxAnswer | None: ...


class LightClient:
    """Headers of one chain, each verified from the trusted height and hash on.

    Refused: `light_invalid` when the node's answer does not verify (it may lie), `light_expired` when what is trusted
    is older than the trusting period, `light_not_enough_trust` when no chain of signatures leads to the header.
    """

    def __init__(
        self,
        rpc: ChainSource,
        chain_id: str,
        trusted_height: int,
        trusted_hash: bytes,
        *,
        options: TrustOptions = DEFAULT_OPTIONS,
        store: TrustStore | None = None,
        witnesses: Sequence[HeaderSource] = (),
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.rpc = rpc
        self.chain_id = chain_id
        self._anchor = (trusted_height, trusted_hash)
        self._options = options
        self._store = MemoryTrustStore() if store is None else store
        self._witnesses = witnesses
        self._now_ns = now_ns
        self.linked: dict[bytes, Header] = {}
        """Headers found on the way back, by hash; clients of one chain may share them."""

    def update(self) -> Header:
        """The newest header that the node has, verified."""
        trusted = self._newest()
        newest = self.rpc.signed_header()
        if newest.header.height <= trusted.height:
            return trusted.header
        return self._advance(trusted, self._fetch(newest.header.height, newest)).header

    def header(self, height: int) -> Header:
        """The verified header of `height`, whether it lies before or after what is known."""
        self._newest()  # sets the anchor on first use
        known = self._store.states()
        below = [state for state in known if state.height <= height]
        if below and below[-1].height == height:
            return below[-1].header
        if below and self._is_fresh(below[-1]):
            return self._advance(below[-1], self._fetch(height)).header
        above = [state for state in known if state.height > height and self._is_fresh(state)]
        return self._walk_back(above[0].header, height) if above else self._too_old(known[-1])

    @property
    def store(self) -> TrustStore:
        """What is believed, for whoever wants to keep it."""
        return self._store

    def newest_trusted(self) -> Header | None:
        """What is believed already, without asking anybody."""
        known = self._store.states()
        return known[-1].header if known else None

    def _newest(self) -> TrustedState:
        known = self._store.states()
        if known:
            newest = known[-1]
        else:
            newest = self._anchor_state()
            self._store.put(newest)
        if not self._is_fresh(newest):
            self._too_old(newest)
        return newest

    def _anchor_state(self) -> TrustedState:
        height, trusted_hash = self._anchor
        block = self._fetch(height)
        if block.header.hash() != trusted_hash:
            _lied(f"the header of trusted height {height} has hash {block.header.hash().hex()}, not the trusted one")
        verdict = verify_own_commit(block)
        if not verdict.ok:
            _lied(f"trusted height {height}: {verdict.reason}")
        return _state(block)

    def _is_fresh(self, state: TrustedState) -> bool:
        return self._now_ns() - state.header.time_ns < self._options.trusting_period_ns

    def _too_old(self, state: TrustedState) -> NoReturn:
        age_s = (self._now_ns() - state.header.time_ns) // 10**9
        raise Refused("light_expired", f"trusted height {state.height} is {age_s} s old")

    def _advance(self, trusted: TrustedState, target: LightBlock) -> TrustedState:
        """Verify `target`, halving the distance whenever too few trusted validators signed it."""
        pending = [target]
        for _ in range(STEPS_MAX):
            block = pending[-1]
            verdict = verify(trusted, block, self._now_ns(), self._options)
            if verdict.outcome == "SUCCESS":
                trusted = _state(pending.pop())
                if not pending:
                    self._compare_with_witnesses(trusted)
                    self._store.put(trusted)
                    return trusted
                self._store.put(trusted)
            elif verdict.outcome == "INVALID":
                _lied(f"height {block.height}: {verdict.reason}")
            else:
                pending.append(self._fetch((trusted.height + block.height) // 2))
        raise Refused("light_not_enough_trust", f"no chain of signatures leads to height {target.height}")

    def _walk_back(self, child: Header, height: int) -> Header:
        """Down from a trusted header by last_block_id: hashes need no signatures."""
        top = child.height
        if height < 1 or top - height > BACKWARD_MAX:
            raise Refused("light_not_enough_trust", f"height {height} is too far below trusted height {top}")
        if len(self.linked) > BACKWARD_MAX:
            self.linked.clear()
        for below in range(top - 1, height - 1, -1):
            expected = child.last_block_id.hash
            parent = self.linked.get(expected) or self.rpc.signed_header(below).header
            if parent.hash() != expected or parent.height != below:
                _lied(f"header {below} is not the one that header {child.height} links to")
            self.linked[expected] = parent
            child = parent
        return child

    def _fetch(self, height: int, signed: SignedHeader | None = None) -> LightBlock:
        signed = self.rpc.signed_header(height) if signed is None else signed
        header = signed.header
        if (header.height, header.chain_id) != (height, self.chain_id):
            _lied(f"asked for height {height} of {self.chain_id!r}, got {header.height} of {header.chain_id!r}")
        validators = self.rpc.validators(height)
        unchanged = header.next_validators_hash == header.validators_hash
        return LightBlock(signed, validators, validators if unchanged else self.rpc.validators(height + 1))

    def _compare_with_witnesses(self, state: TrustedState) -> None:
        """A second opinion: two different headers of one height, both with signatures, are an attack in progress."""
        for witness in self._witnesses:
            try:
                other = witness.signed_header(state.height).header
            except (Refused, Unavailable):
                continue  # behind, or gone: it cannot contradict
            if other.hash() != state.header.hash():
                _lied(f"a witness has another header {state.height}: {other.hash().hex()}")


def _state(block: LightBlock) -> TrustedState:
    assert block.next_validators is not None
    return TrustedState(block.signed_header, block.next_validators)


def _lied(why: str) -> NoReturn:
    raise Refused("light_invalid", why)
