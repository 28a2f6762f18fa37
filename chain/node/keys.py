"""An operator's keys at its node: account, consensus key in CometBFT's own form, VRF key; a file each, mode 0600."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chain import files
from chain.crypto import vrf
from chain.crypto.address import address, encode, validator_address
from chain.crypto.keys import PrivateKey
from chain.errors import Faulty, Malformed
from chain.wire.staking import ProducerKeys, prove_keys

PUBLIC_TYPE, PRIVATE_TYPE = "tendermint/PubKeyEd25519", "tendermint/PrivKeyEd25519"
ED25519: Final = "ed25519"
CONSENSUS_FILE, VRF_FILE, ACCOUNT_FILE = "priv_validator_key.json", "vrf_key.json", "account_key.json"


@dataclass(frozen=True, slots=True)
class OperatorKeys:
    """What an operator holds; `vrf_secret` is 32 bytes."""

    name: str
    consensus: PrivateKey
    vrf_secret: bytes
    account: PrivateKey

    @classmethod
    def generate(cls, name: str) -> OperatorKeys:
        return cls(name, PrivateKey.generate(ED25519), secrets.token_bytes(32), PrivateKey.generate(ED25519))

    @property
    def validator_address(self) -> bytes:
        return validator_address(self.consensus.public.x)

    @property
    def pair(self) -> tuple[bytes, bytes]:
        """Consensus and VRF public key, as the chain holds them."""
        return self.consensus.public.x, vrf.public_key(self.vrf_secret)

    def proven_for(self, chain_id: str, operator: bytes) -> ProducerKeys:
        """Consensus and VRF key with their proofs that this operator (20 bytes) holds them."""
        return prove_keys(chain_id, operator, self.consensus, self.vrf_secret)


def write(folder: Path, operator: OperatorKeys) -> None:
    """Each file whole or not at all; what stood there is replaced."""
    folder.mkdir(mode=files.FOLDER_MODE, parents=True, exist_ok=True)
    public = operator.consensus.public.x
    consensus = {
        "address": operator.validator_address.hex().upper(),
        "pub_key": {"type": PUBLIC_TYPE, "value": base64_of(public)},
        "priv_key": {"type": PRIVATE_TYPE, "value": base64_of(operator.consensus.secret + public)},
    }
    vrf_key = {"public": vrf.public_key(operator.vrf_secret).hex(), "secret": operator.vrf_secret.hex()}
    # An agent takes this file as its owner's key: the operator's machines earn its service level.
    account = {
        "purpose": "operator account",
        "algorithm": ED25519,
        "address": encode(address(operator.account.public)),
        "secret": operator.account.secret.hex(),
    }
    for name, content in ((CONSENSUS_FILE, consensus), (VRF_FILE, vrf_key), (ACCOUNT_FILE, account)):
        files.replace(folder / name, (json.dumps(content, indent=2) + "\n").encode())


def read(folder: Path) -> OperatorKeys:
    """Raises Faulty `home_invalid` for files that are missing, damaged or do not belong together."""
    try:
        consensus = base64.b64decode(read_json(folder / CONSENSUS_FILE)["priv_key"]["value"], validate=True)
        vrf_secret = bytes.fromhex(read_json(folder / VRF_FILE)["secret"])
        account = bytes.fromhex(read_json(folder / ACCOUNT_FILE)["secret"])
        key = PrivateKey.from_secret(ED25519, consensus[:32])
        if key.public.x != consensus[32:] or len(vrf_secret) != 32:
            raise ValueError("the parts of a key do not belong together")
        return OperatorKeys(folder.name, key, vrf_secret, PrivateKey.from_secret(ED25519, account))
    except (KeyError, TypeError, ValueError, Malformed) as error:
        raise Faulty("home_invalid", f"the keys in {folder} cannot be read: {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of the home; raises Faulty `home_invalid`."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Faulty("home_invalid", f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise Faulty("home_invalid", f"{path} holds no JSON object")
    return content


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()
