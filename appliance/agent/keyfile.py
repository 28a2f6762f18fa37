"""Private keys in files: made once, mode 0600, refused when others can read them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

from appliance.agent.files import read_json, write_json
from chain.crypto.keys import PrivateKey
from chain.errors import Faulty, Malformed
from chain.files import PRIVATE_MODE

Algorithm = Literal["ed25519", "p256"]
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_or_create(path: Path, algorithm: Algorithm, purpose: str) -> PrivateKey:
    """The key in `path`, or a new one stored there before it is used for the first time.

    Faulty `home_invalid` when the file is damaged, holds another kind of key, or is readable by others.
    """
    if not path.exists():
        key = PrivateKey.generate(algorithm)
        document = {"purpose": purpose, "algorithm": algorithm, "secret": key.secret.hex()}
        write_json(path, document, mode=PRIVATE_MODE)
        return key
    return _load(path, algorithm)


def _load(path: Path, algorithm: Algorithm) -> PrivateKey:
    if path.stat().st_mode & OTHERS:
        raise Faulty("home_invalid", f"{path} is a private key that others can read; chmod 600 it if nobody did")
    document = read_json(path)
    if not isinstance(document, dict) or document.get("algorithm") != algorithm:
        raise Faulty("home_invalid", f"{path} does not hold a private key of the kind {algorithm}")
    try:
        secret = bytes.fromhex(str(document["secret"]))
        return PrivateKey.from_secret(algorithm, secret)
    except (KeyError, ValueError, Malformed) as error:
        raise Faulty("home_invalid", f"the private key in {path} is damaged") from error
