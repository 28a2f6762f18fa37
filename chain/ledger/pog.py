"""The schedule of PoG challenges, and the hubs' commitments to the answers.

Source: proofs.md "PoG v1" step 3. The challenge is the beacon of the first block at or past every `pog_period_epochs`;
the ledger bounds the time by headers and draws nothing itself.
"""

from __future__ import annotations

from typing import Any

from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.ledger.hubs import check_hub
from chain.wire.bodies import read_pog_commit
from chain.wire.state import POG_CHALLENGE_KEY, PogChallenge, PogCommitment, pog_commitment_key

_SECOND_NS = 10**9


def is_challenge_due(begun_epoch: int, before_epoch: int, period_epochs: int) -> bool:
    """Whether a multiple of the period lies after `before_epoch` and at or before `begun_epoch`."""
    return begun_epoch // period_epochs > before_epoch // period_epochs


def set_challenge(run: Execution, beacon: bytes) -> None:
    """Make this block the challenge that everybody answers."""
    challenge = PogChallenge(run.height, run.time_ns, run.reward_epoch, beacon)
    run.overlay.set_entry(POG_CHALLENGE_KEY, challenge)
    run.events.append(Event("pog_challenge", (("height", str(run.height)), ("beacon", beacon.hex()))))


def apply_pog_commit(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Record a hub's commitment to the newest challenge; refuses `tx_unauthorised`, `tx_late`, `tx_duplicate`."""
    commit = read_pog_commit(body)
    check_hub(run, sender, commit.hub)
    challenge = run.overlay.entry(POG_CHALLENGE_KEY, PogChallenge)
    if challenge is None or commit.challenge_height != challenge.height:
        newest = None if challenge is None else challenge.height
        raise Refused("tx_late", f"height {commit.challenge_height} is not the newest challenge, which is {newest}")
    if run.time_ns > challenge.time_ns + run.parameters.pog_window_s * _SECOND_NS:
        raise Refused("tx_late", f"the window of challenge {challenge.height} is over")
    key = pog_commitment_key(sender)
    before = run.overlay.entry(key, PogCommitment)
    if before is not None and before.challenge_height == commit.challenge_height:
        raise Refused("tx_duplicate", f"this hub committed to challenge {commit.challenge_height} already")
    run.overlay.set_entry(key, PogCommitment(commit.challenge_height, commit.root, commit.count, run.height))
    attributes = (("hub", sender.hex()), ("challenge_height", str(challenge.height)), ("root", commit.root.hex()))
    return (Event("pog_commit", attributes),)
