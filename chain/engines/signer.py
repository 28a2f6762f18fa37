"""A validator's consensus key with its memory: signs votes and proposals in CometBFT's bytes, never two that conflict.

After a crash it gives the signature that it gave before, with the time that it had, if everything but the time is the
same (as CometBFT's FilePV does); anything else at the same place is refused.
"""

from __future__ import annotations

from dataclasses import replace

from chain.consensus.messages import Step
from chain.consensus.recovery import Signed
from chain.crypto.address import validator_address
from chain.crypto.keys import PrivateKey
from chain.engines.sign_state import SignedBefore, SignState
from chain.wire.cometbft import PREVOTE, Proposal, Vote


class Signer:
    """One Ed25519 key; several signers share one `SignState`, whose `save` must precede any use of what they signed."""

    def __init__(self, key: PrivateKey, state: SignState) -> None:
        assert key.public.algorithm == "ed25519", "consensus keys are Ed25519"
        self._key = key
        self._state = state
        self.public = key.public.x
        self.address = validator_address(self.public)

    def last_signed(self) -> Signed | None:
        before = self._state.last(self.address)
        return before.signed if before else None

    def sign_vote(self, vote: Vote, chain_id: str) -> Vote | None:
        """The vote with its signature (and perhaps an earlier time); None if signing it could be a double sign."""
        signed = self._sign(place_of(vote, chain_id), vote.timestamp_ns, vote.sign_bytes(chain_id))
        return None if signed is None else replace(vote, timestamp_ns=signed.timestamp_ns, signature=signed.signature)

    def sign_proposal(self, proposal: Proposal, chain_id: str) -> Proposal | None:
        """The proposal with its signature; None if signing it could be a double sign."""
        signed = self._sign(place_of(proposal, chain_id), proposal.timestamp_ns, proposal.sign_bytes(chain_id))
        if signed is None:
            return None
        return replace(proposal, timestamp_ns=signed.timestamp_ns, signature=signed.signature)

    def remember(self, message: Vote | Proposal, chain_id: str) -> None:
        """Takes note of a signature of this key that was found in the log."""
        place = place_of(message, chain_id)
        if self._state.allows(self.address, place):
            self._state.stage(self.address, SignedBefore(place, message.timestamp_ns, message.signature))

    def _sign(self, place: Signed, timestamp_ns: int, sign_bytes: bytes) -> SignedBefore | None:
        if not self._state.allows(self.address, place):
            return None
        before = self._state.last(self.address)
        if before is not None and before.signed == place:
            return before
        signed = SignedBefore(place, timestamp_ns, self._key.sign(sign_bytes))
        self._state.stage(self.address, signed)
        return signed


def place_of(message: Vote | Proposal, chain_id: str) -> Signed:
    """Where a message stands; its content is its sign bytes with time 0."""
    content = replace(message, timestamp_ns=0).sign_bytes(chain_id)
    if isinstance(message, Proposal):
        return Signed(message.height, message.round, int(Step.PROPOSE), content)
    step = Step.PREVOTE if message.type == PREVOTE else Step.PRECOMMIT
    return Signed(message.height, message.round, int(step), content)
