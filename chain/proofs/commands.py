"""Commands and desired state: what a device obeys, and from whom.

A fleet root key, which may be offline, certifies the hub's command key until a day it names; the command key signs. A
stolen broker commands nothing. A stolen hub does, until its certificate ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.crypto.keys import PrivateKey, PublicKey
from chain.errors import Refused
from chain.proofs.key_ids import key_id
from chain.wire import cose
from chain.wire.fields import Fields

COMMAND_TAG = "dccn/command/v1"

COMMAND_MAX_BYTES = 64 * 1024
FLEET_MAX_BYTES = 64
KIND_MAX_BYTES = 32


@dataclass(frozen=True, slots=True)
class Command:
    """`["cmd1", fleet, device, version, not_after_ms, kind, body]`; `version` grows with every command of a device."""

    fleet: str
    device: bytes
    version: int
    not_after_ms: int
    kind: str
    body: object

    def to_list(self) -> list[object]:
        return ["cmd1", self.fleet, self.device, self.version, self.not_after_ms, self.kind, self.body]

    @classmethod
    def from_list(cls, body: object) -> Command:
        f = Fields(body, "cmd1", 7)
        fleet, kind = f.text(1, FLEET_MAX_BYTES), f.text(5, KIND_MAX_BYTES)
        return cls(fleet, f.octets(2, 32), f.integer(3, 1), f.integer(4), kind, f.any(6))


@dataclass(frozen=True, slots=True)
class CommandGate:
    """What a device checks commands against; `last_version` is the highest that it obeyed and has persisted."""

    fleet: str
    device: bytes
    command_public: PublicKey
    command_key_not_after_ms: int
    chain_id: str

    def open(self, data: bytes, *, now_ms: int, last_version: int) -> Command:
        """The command, to be obeyed once. Malformed for the bytes, Refused `command_invalid` if not for us now."""
        envelope = cose.open_envelope(data, COMMAND_MAX_BYTES)
        command = Command.from_list(envelope.body)
        public = self.command_public
        if envelope.kid != key_id(public) or not envelope.verify(public, COMMAND_TAG, self.chain_id):
            raise Refused("command_invalid", f"command {command.kind!r} is not signed by the fleet's command key")
        if now_ms > self.command_key_not_after_ms:
            ended = self.command_key_not_after_ms
            raise Refused("command_invalid", f"the command key was certified until {ended}, it is {now_ms}")
        if (command.fleet, command.device) != (self.fleet, self.device):
            raise Refused("command_invalid", f"command {command.kind!r} is for another device or fleet")
        if now_ms > command.not_after_ms:
            expired = f"command {command.kind!r} expired at {command.not_after_ms}"
            raise Refused("command_invalid", f"{expired}, it is {now_ms}")
        if command.version <= last_version:
            raise Refused("command_invalid", f"command version {command.version} is not after {last_version}")
        return command


def sign_command(command: Command, command_key: PrivateKey, chain_id: str) -> bytes:
    """The command's COSE_Sign1 by the hub's command key."""
    body = Command.from_list(command.to_list()).to_list()
    return cose.sign(command_key, key_id(command_key.public), body, COMMAND_TAG, chain_id)
