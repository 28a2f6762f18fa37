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
        step = int(Step.PREVOTE if vote.type == PREVOTE else Step.PRECOMMIT)
        place = Signed(vote.height, vote.round, step, replace(vote, timestamp_ns=0).sign_bytes(chain_id))
        signed = self._sign(place, vote.timestamp_ns, vote.sign_bytes(chain_id))
        return None if signed is None else replace(vote, timestamp_ns=signed.timestamp_ns, signature=signed.signature)

    def sign_proposal(self, proposal: Proposal, chain_id: str) -> Proposal | None:
        """The proposal with its signature; None if signing it could be a double sign."""
        content = replace(proposal, timestamp_ns=0).sign_bytes(chain_id)
        place = Signed(proposal.height, proposal.round, int(Step.PROPOSE), content)
        signed = self._sign(place, proposal.timestamp_ns, proposal.sign_bytes(chain_id))
        return (
            None if signed is None else replace(proposal, timestamp_ns=signed.timestamp_ns, signature=signed.signature)
        )

    def _sign(self, place: Signed, timestamp_ns: int, sign_bytes: bytes) -> SignedBefore | None:
        if not self._state.allows(self.address, place):
            return None
        before = self._state.last(self.address)
        if before is not None and before.signed == place:
            return before
        signed = SignedBefore(place, timestamp_ns, self._key.sign(sign_bytes))
        self._state.stage(self.address, signed)
        return signed
