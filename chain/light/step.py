"""One step of CometBFT's light client: from a trusted header to a newer one, by signatures alone.

Source: cometbft `spec/light-client/verification` (ValidAndVerified, VerifyCommitLight…), with the verdicts of
tendermint-rs' model-based tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from chain.crypto import ed25519
from chain.wire.cometbft import FLAG_ABSENT, FLAG_COMMIT, FLAG_NIL, Commit, Header, SignedHeader, ValidatorSet

Outcome = Literal["SUCCESS", "NOT_ENOUGH_TRUST", "INVALID"]

Checked = dict[tuple[int, bytes], None]
"""Signatures of one commit that are good: (place in the commit, public key)."""

SECOND_NS = 10**9
ADDRESS_BYTES = 20
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class TrustedState:
    """A header that is believed, and the validators that it names for the next height."""

    signed_header: SignedHeader
    next_validators: ValidatorSet

    @property
    def header(self) -> Header:
        return self.signed_header.header

    @property
    def height(self) -> int:
        return self.header.height


@dataclass(frozen=True, slots=True)
class LightBlock:
    """A header as somebody gave it, with the validators of its height and of the next (None: not given)."""

    signed_header: SignedHeader
    validators: ValidatorSet
    next_validators: ValidatorSet | None

    @property
    def header(self) -> Header:
        return self.signed_header.header

    @property
    def height(self) -> int:
        return self.header.height


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """How long a header may be trusted, how far ahead clocks may be, and which share of trusted power must sign.

    `trust_level` is (numerator, denominator), from 1/3 to 1. The trusting period must be shorter than the unbonding
    time (21 d), or validators could sign another history after they took their bonds out.
    """

    trusting_period_ns: int = 14 * 86_400 * SECOND_NS
    clock_drift_ns: int = 10 * SECOND_NS
    trust_level: tuple[int, int] = (1, 3)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is one sentence; empty for SUCCESS."""

    outcome: Outcome
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome == "SUCCESS"


SUCCESS = Verdict("SUCCESS")


def verify(trusted: TrustedState, untrusted: LightBlock, now_ns: int, options: TrustOptions) -> Verdict:
    """Whether `untrusted` may be trusted because `trusted` is, at time `now_ns`.

    NOT_ENOUGH_TRUST says that the block is well formed but too few trusted validators signed it: fetch one in between.
    Only as many signatures are checked as are needed; a bad one among those is INVALID.
    """
    refused = _check_times(trusted, untrusted, now_ns, options) or _check_form(trusted, untrusted)
    if refused is not None:
        return refused
    checked: Checked = {}
    if untrusted.height == trusted.height + 1:
        if untrusted.header.validators_hash != trusted.header.next_validators_hash:
            return _invalid("the adjacent header names other validators than the trusted header announced")
    else:
        refused = _check_overlap(trusted, untrusted, options.trust_level, checked)
        if refused is not None:
            return refused
    return _check_majority(untrusted, checked)


def verify_own_commit(block: LightBlock) -> Verdict:
    """Whether a block, known by its hash, is well formed and signed by more than 2/3 of the validators it names."""
    return _check_sets(block) or _check_commit(block) or _check_majority(block, {})


def _check_times(trusted: TrustedState, untrusted: LightBlock, now_ns: int, options: TrustOptions) -> Verdict | None:
    if trusted.header.time_ns + options.trusting_period_ns <= now_ns:
        return _invalid(f"the trusted header {trusted.height} is older than the trusting period")
    if untrusted.header.time_ns >= now_ns + options.clock_drift_ns:
        return _invalid(f"header {untrusted.height} is from the future")
    return None


def _check_form(trusted: TrustedState, untrusted: LightBlock) -> Verdict | None:
    if trusted.next_validators.hash() != trusted.header.next_validators_hash:
        return _invalid("the trusted next_validator_set is not the one that the trusted header names")
    if any(validator.power < 0 for validator in trusted.next_validators):
        return _invalid("a trusted validator has negative power")
    refused = _check_sets(untrusted) or _check_commit(untrusted)
    if refused is not None:
        return refused
    if untrusted.header.chain_id != trusted.header.chain_id:
        return _invalid(f"the header is of chain {untrusted.header.chain_id!r}, not {trusted.header.chain_id!r}")
    if untrusted.height <= trusted.height:
        return _invalid(f"height {untrusted.height} is not above the trusted height {trusted.height}")
    if untrusted.header.time_ns <= trusted.header.time_ns:
        return _invalid(f"header {untrusted.height} is not later than the trusted header {trusted.height}")
    return None


def _check_sets(block: LightBlock) -> Verdict | None:
    if any(validator.power < 0 for validator in block.validators):
        return _invalid("a validator has negative power")
    if block.validators.hash() != block.header.validators_hash:
        return _invalid("validators_hash is not the hash of the validator set given")
    if block.next_validators is not None and block.next_validators.hash() != block.header.next_validators_hash:
        return _invalid("next_validators_hash is not the hash of the next validator set given")
    return None


def _check_commit(block: LightBlock) -> Verdict | None:
    header, commit = block.header, block.signed_header.commit
    if commit.height != header.height:
        return _invalid(f"the commit is of height {commit.height}, the header of {header.height}")
    if not header.hash() or commit.block_id.hash != header.hash():
        return _invalid("the commit is for another header")
    if len(commit.signatures) != len(block.validators):
        return _invalid(f"{len(commit.signatures)} signatures in the commit of {len(block.validators)} validators")
    for signature, validator in zip(commit.signatures, block.validators, strict=True):
        if signature.flag == FLAG_ABSENT:
            if signature.validator_address or signature.signature:
                return _invalid("an absent signature names a validator or holds a signature")
        elif signature.flag not in (FLAG_COMMIT, FLAG_NIL):
            return _invalid(f"block_id_flag {signature.flag} is none of 1, 2, 3")
        elif signature.validator_address != validator.address:
            return _invalid(f"signer {signature.validator_address.hex()} is unknown or not in its place")
        elif len(signature.signature) != SIGNATURE_BYTES:
            return _invalid(f"the signature of {signature.validator_address.hex()} has not 64 bytes")
    return None


def _check_overlap(
    trusted: TrustedState, untrusted: LightBlock, level: tuple[int, int], checked: Checked
) -> Verdict | None:
    numerator, denominator = level
    needed = trusted.next_validators.total_power * numerator
    power = _signed_power(untrusted, trusted.next_validators, lambda tallied: tallied * denominator > needed, checked)
    if power is None:
        return _invalid("a signature of a trusted validator is wrong")
    if power * denominator <= needed:
        share = f"{power} of {trusted.next_validators.total_power}"
        return Verdict("NOT_ENOUGH_TRUST", f"trusted validators with power {share} signed header {untrusted.height}")
    return None


def _check_majority(block: LightBlock, checked: Checked) -> Verdict:
    needed = block.validators.total_power * 2
    power = _signed_power(block, block.validators, lambda tallied: tallied * 3 > needed, checked)
    if power is None:
        return _invalid("a signature in the commit is wrong")
    if power * 3 <= needed:
        return _invalid(f"only power {power} of {block.validators.total_power} signed header {block.height}")
    return SUCCESS


def _signed_power(
    block: LightBlock, voters: ValidatorSet, enough: Callable[[int], bool], checked: Checked
) -> int | None:
    """Power of `voters` behind the commit, counted until it is enough; None when a signature met is wrong.

    `checked` remembers signatures of this commit that were found good, so that none is verified twice.
    """
    commit: Commit = block.signed_header.commit
    tallied = 0
    for index, signature in enumerate(commit.signatures):
        if enough(tallied):
            break
        voter = voters.by_address(signature.validator_address) if signature.flag == FLAG_COMMIT else None
        if voter is None:
            continue
        if (index, voter.public) not in checked:
            message = commit.vote_sign_bytes(block.header.chain_id, index)
            if not ed25519.verify(voter.public, message, signature.signature):
                return None
            checked[index, voter.public] = None
        tallied += voter.power
    return tallied


def _invalid(reason: str) -> Verdict:
    return Verdict("INVALID", reason)
