"""The keys that sign releases: Ed25519, one PEM file each, readable by its owner alone."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from chain import files
from chain.errors import Malformed, Refused

MAX_KEY_BYTES = 4096
OTHERS = 0o077


def make(path: Path) -> CryptoSigner:
    """A new key in a new file of mode 0600. Raises Refused `usage` rather than write over an old one."""
    signer = CryptoSigner.generate_ed25519()
    if not files.create(path, signer.private_bytes):
        raise Malformed("usage", f"making a release key: {path} exists already, and no key can be made twice")
    return signer


def load(path: Path) -> CryptoSigner:
    """The key in a file. Raises Malformed `bad_key`, or Refused `release_unsigned` for one that others can read."""
    data = files.read(path, MAX_KEY_BYTES)
    if data is None:
        raise Malformed("usage", f"there is no release key {path}")
    if path.stat().st_mode & OTHERS:
        raise Refused("release_unsigned", f"others can read the key {path}: chmod 600 it, or make a new one")
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise Malformed("bad_key", f"{path} is not an Ed25519 key in PEM: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Malformed("bad_key", f"{path} holds a {type(key).__name__}, releases are signed with Ed25519")
    return CryptoSigner(key)
