"""The hub's signing keys as files that only it may read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain import files
from chain.crypto import address
from chain.crypto.keys import PrivateKey
from chain.errors import Faulty, Malformed

IDENTITY_FOLDER: Final = "identity"


@dataclass(frozen=True, slots=True)
class HubKeys:
    """All Ed25519: `fleet_root` certifies the command key (and may be taken offline), `command` signs commands, answers
    and receipts, `account` owns the hub's ANKR and pays for what it sponsors."""

    fleet_root: PrivateKey
    command: PrivateKey
    account: PrivateKey

    @property
    def address(self) -> bytes:
        """The hub's account on the chain, 20 bytes."""
        return address.address(self.account.public)


def open_keys(home: Path, entropy: Callable[[int], bytes] = os.urandom) -> HubKeys:
    """Read the hub's keys, making those that do not exist yet. Raises Faulty(home_invalid) for a damaged file."""
    folder = home / IDENTITY_FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def key(name: str) -> PrivateKey:
        return _open_key(folder / f"{name}.key", entropy)

    return HubKeys(fleet_root=key("fleet-root"), command=key("command"), account=key("account"))


def open_account(home: Path, entropy: Callable[[int], bytes] = os.urandom) -> HubKeys:
    """The keys of a hub that has not run yet: a genesis that funds it needs its `address`."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_keys(home, entropy)


def _open_key(path: Path, entropy: Callable[[int], bytes]) -> PrivateKey:
    if not path.exists():
        key = PrivateKey.generate("ed25519", entropy)
        files.replace(path, key.secret.hex().encode() + b"\n")
        return key
    try:
        return PrivateKey.from_secret("ed25519", bytes.fromhex(path.read_text(encoding="ascii")))
    except (ValueError, Malformed) as error:
        raise Faulty("home_invalid", f"reading the key {path}: {error}") from None
