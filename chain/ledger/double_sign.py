"""Double signs: two votes of one key for different blocks at one height, round and type.

They come as a transaction by anybody who saw both, or from the engine, which gossips its own evidence into the block.
"""

from __future__ import annotations

from typing import Any

from chain.crypto import ed25519
from chain.crypto.address import validator_address
from chain.errors import Refused
from chain.ledger.block import BlockInput, Event, Execution
from chain.ledger.operators import known_operator
from chain.ledger.slashing import tombstone
from chain.wire.offences import read_double_sign
from chain.wire.operators import Validator, validator_key


def apply_double_sign(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """Slash and tombstone the operator whose key signed both votes.

    Refuses `tx_unknown_operator` (nobody's key), `tx_duplicate` (tombstoned already), `tx_not_proven` (one block, or a
    signature that does not verify). There is no statute of limitations while stake is left.
    """
    evidence = read_double_sign(body)
    validator = run.overlay.entry(validator_key(validator_address(evidence.consensus)), Validator)
    if validator is None:
        raise Refused("tx_unknown_operator", f"no operator ever had consensus key {evidence.consensus.hex()}")
    if known_operator(run.overlay, validator.operator).tombstoned:
        raise Refused("tx_duplicate", f"operator {validator.operator.hex()} is tombstoned already")
    first, second = evidence.votes
    if first.block_id == second.block_id:
        raise Refused("tx_not_proven", "both votes are for the same block: a repeated vote is no offence")
    for vote in evidence.votes:
        if not ed25519.verify(evidence.consensus, evidence.sign_bytes(run.chain_id, vote), vote.signature):
            raise Refused("tx_not_proven", f"the key did not sign the vote for {vote.block_id}")
    tombstone(run, validator.operator)
    return (_event(validator.operator, evidence.height, sender.hex()),)


def punish_misbehavior(run: Execution, block: BlockInput) -> None:
    """Tombstone whom the engine's evidence in this block names; who is tombstoned already, or unknown, is passed over.

    An unknown validator cannot be slashed; halting for it would let evidence stop the chain.
    """
    for address, height in block.misbehavior:
        validator = run.overlay.entry(validator_key(address), Validator)
        if validator is None or known_operator(run.overlay, validator.operator).tombstoned:
            continue
        tombstone(run, validator.operator)
        run.events.append(_event(validator.operator, height, "engine"))


def _event(operator: bytes, height: int, reporter: str) -> Event:
    return Event("double_sign", (("operator", operator.hex()), ("height", str(height)), ("reporter", reporter)))
