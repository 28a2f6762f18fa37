"""SLIP-0010 for Ed25519: a tree of keys from one seed, hardened steps only.

Accounts are at m/44'/1095650130'/i'. The coin type spells "ANKR" in ASCII (0x414E4B52); SLIP-0044 lists none for it.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field

from chain.crypto.keys import PrivateKey
from chain.errors import Malformed
from chain.wallet.mnemonic import seed

HARDENED = 1 << 31
PURPOSE = 44
COIN_TYPE = int.from_bytes(b"ANKR", "big")
DEPTH_MAX = 10

_CURVE = b"ed25519 seed"
_STEP = re.compile(r"(\d{1,10})'", re.ASCII)


@dataclass(frozen=True, slots=True)
class Node:
    """An extended private key: 32 bytes of secret (the Ed25519 seed) and 32 of chain code."""

    secret: bytes = field(repr=False)
    chain_code: bytes = field(repr=False)


def master(seed_bytes: bytes) -> Node:
    return _node(_CURVE, seed_bytes)


def child(parent: Node, index: int) -> Node:
    """The hardened child `index`, counted from 0."""
    if not 0 <= index < HARDENED:
        raise Malformed("usage", f"a step of a path is from 0 to {HARDENED - 1}, not {index}")
    return _node(parent.chain_code, b"\x00" + parent.secret + (HARDENED | index).to_bytes(4, "big"))


def derive(seed_bytes: bytes, path: str) -> Node:
    """The node at `path`, such as m/44'/1095650130'/0'."""
    node = master(seed_bytes)
    for index in parse_path(path):
        node = child(node, index)
    return node


def parse_path(path: str) -> tuple[int, ...]:
    """The steps of a path; raises `usage` unless all are hardened, since Ed25519 has no others."""
    head, *steps = path.split("/")
    matches = [_STEP.fullmatch(step) for step in steps]
    if head != "m" or len(steps) > DEPTH_MAX or None in matches:
        raise Malformed("usage", f"{path[:80]!r} is not a path such as {account_path(0)}, every step with a '")
    indices = tuple(int(match[1]) for match in matches if match is not None)
    if any(index >= HARDENED for index in indices):
        raise Malformed("usage", f"a step of {path!r} is above {HARDENED - 1}")
    return indices


def account_path(account: int) -> str:
    return f"m/{PURPOSE}'/{COIN_TYPE}'/{account}'"


def key_of(phrase: str, path: str, passphrase: str = "") -> PrivateKey:
    """The account key that a phrase, a path and (if one was chosen) a passphrase stand for."""
    return PrivateKey.from_secret("ed25519", derive(seed(phrase, passphrase), path).secret)


def _node(key: bytes, data: bytes) -> Node:
    digest = hmac.digest(key, data, "sha512")
    return Node(digest[:32], digest[32:])
