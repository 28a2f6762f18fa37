"""The keys of block producers: further ones for further seats, and new ones in the place of old ones.

A key belongs to one operator for ever, also after it was rotated out: late precommits and evidence still name it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chain.crypto import vrf
from chain.crypto.address import validator_address
from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.ledger.block import Event, Execution
from chain.ledger.operators import (
    KeyOwner,
    Operator,
    Validator,
    known_operator,
    put_operator,
    put_validator,
    validator_key,
    vrf_key,
)
from chain.ledger.seats import remember_seats
from chain.wire.staking import (
    MAX_KEYS,
    ProducerKeys,
    consensus_key_bytes,
    read_add_key,
    read_rotate_key,
    vrf_key_bytes,
)


def apply_add_key(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """A further key, for a further seat; refuses `tx_unknown_operator`, `tx_limit`, and what `check_keys` refuses."""
    keys = read_add_key(body)
    operator = known_operator(run.overlay, sender)
    number = len(operator.keys)
    if number >= MAX_KEYS:
        raise Refused("tx_limit", f"an operator has at most {MAX_KEYS} keys")
    pair = check_keys(run, sender, keys)
    _put(run, sender, msgspec.structs.replace(operator, keys=(*operator.keys, pair)))
    put_keys(run, sender, number, keys)
    return (_event("add_key", sender, number, keys),)


def apply_rotate_key(run: Execution, sender: bytes, body: list[Any]) -> tuple[Event, ...]:
    """New keys in the place of the `number`-th; a seated key hands its seat over, in force like any new validator.

    Refuses `tx_unknown_operator`, `malformed` (no such number), and what `check_keys` refuses.
    """
    number, keys = read_rotate_key(body)
    operator = known_operator(run.overlay, sender)
    if number >= len(operator.keys):
        raise Refused("malformed", f"key {number} of {len(operator.keys)}")
    pair = check_keys(run, sender, keys)
    remember_seats(run)
    rotated = (*operator.keys[:number], pair, *operator.keys[number + 1 :])
    _put(run, sender, msgspec.structs.replace(operator, keys=rotated))
    put_keys(run, sender, number, keys)
    return (_event("rotate_key", sender, number, keys),)


def check_keys(run: Execution, operator: bytes, keys: ProducerKeys) -> tuple[bytes, bytes]:
    """The pair as an operator holds it; refuses `tx_known_key`, `bad_key`, `bad_signature` (possession not proven)."""
    if run.overlay.entry(validator_key(validator_address(keys.consensus)), Validator) is not None:
        raise Refused("tx_known_key", f"consensus key {keys.consensus.hex()} belongs to an operator already")
    if run.overlay.entry(vrf_key(keys.vrf), KeyOwner) is not None:
        raise Refused("tx_known_key", f"VRF key {keys.vrf.hex()} belongs to an operator already")
    consensus = PublicKey.from_ed25519(keys.consensus)
    if not consensus.verify(consensus_key_bytes(run.chain_id, operator, keys.consensus), keys.consensus_signature):
        raise Refused("bad_signature", f"consensus key {keys.consensus.hex()} did not sign for this operator")
    if not vrf.is_valid_public_key(keys.vrf):
        raise Refused("bad_key", f"{keys.vrf.hex()} is not a VRF key")
    if vrf.verify(keys.vrf, vrf_key_bytes(run.chain_id, operator, keys.vrf), keys.vrf_proof) is None:
        raise Refused("bad_signature", f"VRF key {keys.vrf.hex()} did not prove itself for this operator")
    return keys.consensus, keys.vrf


def put_keys(run: Execution, operator: bytes, number: int, keys: ProducerKeys) -> None:
    put_validator(run.overlay, operator, number, (keys.consensus, keys.vrf))


def _put(run: Execution, address: bytes, operator: Operator) -> None:
    put_operator(run.overlay, address, operator, run.parameters)


def _event(kind: str, operator: bytes, number: int, keys: ProducerKeys) -> Event:
    return Event(kind, (("operator", operator.hex()), ("number", str(number)), ("consensus", keys.consensus.hex())))
