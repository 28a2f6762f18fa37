"""The end of a device's life, as hub and device agree on it: the hub's command, and the device's proof of wipe.

The command (`cmd1` of kind `decommission`) brings a nonce. The device takes itself off the chain, signs that it will
wipe its data (`before`), and wipes only when the hub has that. Where the identity key survives the wipe, in a TPM, the
next boot signs once more (`after`).

What this proves: the holder of the identity key agreed, at that time, to this decommission and to no other, and said
which volume it was to lose; `after`: the same machine's TPM spoke again, over another volume. It is a statement of the
device's own program, not a witness: a machine whose program was changed could sign it and keep a copy, unless its boot
was attested. Software keys prove nothing afterwards, since they are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chain.crypto.address import device_id
from chain.crypto.keys import PublicKey, SigningKey
from chain.errors import Malformed, Refused
from chain.proofs.key_ids import key_id
from chain.wire import cose
from chain.wire.fields import Fields

COMMAND_KIND: Final = "decommission"
WIPE_TAG: Final = "dccn/wipe/v1"
WIPE_PATH: Final = "/v1/wipes"
NONCE_BYTES: Final = 16
VOLUME_BYTES: Final = 16
MAX_METHOD_BYTES: Final = 32
MAX_CHAIN_BYTES: Final = 64
MAX_STATEMENT_BYTES: Final = 1_024


class Phase(StrEnum):
    """When a statement was signed: with the data still there, or by the next boot."""

    before = "before"
    after = "after"


@dataclass(frozen=True, slots=True)
class WipeStatement:
    """`["wipe1", device, chain, nonce, at_ms, phase, method, volume / null, revoked_height / null]`.

    `nonce` is the command's. `volume` is the data volume's UUID: the one to be lost, or (after) the new one. `method`:
    keys-destroyed, discarded, overwritten or nothing-there. `revoked_height` is the block at which the device saw
    itself off the chain; null when it did not.
    """

    device: bytes
    chain: str
    nonce: bytes
    at_ms: int
    phase: Phase
    method: str
    volume: bytes | None
    revoked_height: int | None

    def body(self) -> list[object]:
        head = ["wipe1", self.device, self.chain, self.nonce, self.at_ms, str(self.phase)]
        return [*head, self.method, self.volume, self.revoked_height]

    @classmethod
    def from_body(cls, body: object) -> WipeStatement:
        """Raises Malformed."""
        f = Fields(body, "wipe1", 9)
        phase = f.text(5, 6)
        if phase not in tuple(Phase):
            raise Malformed("malformed", f"a wipe is stated before or after it, not {phase!r}")
        return cls(
            device=f.octets(1, 32),
            chain=f.text(2, MAX_CHAIN_BYTES),
            nonce=f.octets(3, NONCE_BYTES),
            at_ms=f.integer(4),
            phase=Phase(phase),
            method=f.text(6, MAX_METHOD_BYTES),
            volume=f.optional(7, lambda at: f.octets(at, VOLUME_BYTES)),
            revoked_height=f.optional(8, f.integer),
        )


def sign_wipe(statement: WipeStatement, identity: SigningKey) -> bytes:
    """The statement's COSE_Sign1 by the device's identity key."""
    return cose.sign(identity, key_id(identity.public), statement.body(), WIPE_TAG, statement.chain)


def read_wipe(data: bytes) -> tuple[WipeStatement, cose.Envelope]:
    """A statement that nobody has checked yet. Raises Malformed."""
    envelope = cose.open_envelope(data, MAX_STATEMENT_BYTES)
    return WipeStatement.from_body(envelope.body), envelope


def check_wipe(statement: WipeStatement, envelope: cose.Envelope, identity: PublicKey) -> None:
    """Refused `bad_signature` unless this identity is the device's and signed the statement for its chain."""
    if device_id(identity) != statement.device:
        raise Refused("bad_signature", "the identity key is not that of the device that the statement names")
    if envelope.kid != key_id(identity) or not envelope.verify(identity, WIPE_TAG, statement.chain):
        raise Refused("bad_signature", f"device {statement.device.hex()} did not sign this statement")
