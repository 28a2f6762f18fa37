"""The account that is paid for this machine's work: an Ed25519 key that belongs to the machine's owner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.agent.keyfile import load_or_create
from chain.crypto import address
from chain.crypto.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class Owner:
    """`account` is the 20-byte address that rewards go to."""

    key: PrivateKey
    account: bytes

    @property
    def address(self) -> str:
        """The account as people write it, `ankr1…`."""
        return address.encode(self.account)


def open_owner(path: Path) -> Owner:
    """The owner key in `path`, made when there is none: a machine earns from its first minute, the owner may move
    the key (or send the money on) later. Faulty `home_invalid` when the file is damaged."""
    key = load_or_create(path, "ed25519", "owner account")
    return Owner(key, address.address(key.public))
