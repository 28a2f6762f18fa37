"""What the hub is to its devices: the CA, the signing keys, and the answers that it signs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.proofs.key_ids import key_id
from chain.wire import cose
from fleet.hub.identity.admin import AdminSecret
from fleet.hub.identity.attempts import Attempts
from fleet.hub.identity.authority import Authority
from fleet.hub.identity.keyfiles import HubKeys, open_keys
from fleet.hub.identity.nonces import Nonces
from fleet.protocol.enrolment import COMMAND_KEY_TAG, ENROLLED_TAG, NO_CHAIN, Enrolled, command_key_body
from fleet.protocol.limits import (
    CLAIM_BEGINS_PER_MINUTE,
    CLAIM_TRIES_PER_MINUTE,
    COMMAND_KEY_LIFETIME_S,
    MAX_ENROLMENT_BYTES,
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that `identity/` keeps, opened. `new_admin_secret` is text at the first start, else None."""

    fleet: str
    authority: Authority
    keys: HubKeys
    command_certificate: bytes
    admin: AdminSecret
    new_admin_secret: str | None
    nonces: Nonces
    claim_attempts: Attempts
    begin_attempts: Attempts
    entropy: Callable[[int], bytes]

    @classmethod
    def open(
        cls, home: Path, fleet: str, now_ms: Callable[[], int], entropy: Callable[[int], bytes] = os.urandom
    ) -> Identity:
        """Read this home's identity or make it. Raises Faulty(home_invalid)."""
        keys = open_keys(home, entropy)
        admin, text = AdminSecret.open(home, entropy)
        body = command_key_body(fleet, keys.command.public, now_ms() + COMMAND_KEY_LIFETIME_S * 1000)
        return cls(
            fleet=fleet,
            authority=Authority.open(home, fleet, now_ms()),
            keys=keys,
            command_certificate=cose.sign(
                keys.fleet_root, key_id(keys.fleet_root.public), body, COMMAND_KEY_TAG, NO_CHAIN
            ),
            admin=admin,
            new_admin_secret=text,
            nonces=Nonces(now_ms, entropy),
            claim_attempts=Attempts(CLAIM_TRIES_PER_MINUTE, now_ms),
            begin_attempts=Attempts(CLAIM_BEGINS_PER_MINUTE, now_ms),
            entropy=entropy,
        )

    def sign_answer(self, answer: Enrolled) -> bytes:
        """COSE_Sign1 by the command key."""
        return self.sign(answer.body(), ENROLLED_TAG)

    def sign(self, body: object, tag: str) -> bytes:
        """COSE_Sign1 by the command key over what a device reads as the hub's word."""
        command = self.keys.command
        return cose.sign(command, key_id(command.public), body, tag, NO_CHAIN)


def open_request(data: bytes) -> cose.Envelope:
    """A device's request, not yet verified. Raises Malformed, also for one that is too large."""
    return cose.open_envelope(data, MAX_ENROLMENT_BYTES)


def check_request(envelope: cose.Envelope, identity: PublicKey, tag: str) -> None:
    """Raises Refused(bad_signature) unless the identity key signed the request for this purpose."""
    if envelope.kid != key_id(identity) or not envelope.verify(identity, tag, NO_CHAIN):
        raise Refused("bad_signature", "the identity key that the request names did not sign it")
