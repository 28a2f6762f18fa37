"""Claim codes: 40 random bits in eight characters that are hard to misread and easy to say."""

from __future__ import annotations

import hashlib
from typing import Final

from chain.errors import Malformed

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U."""
CODE_BYTES: Final = 5
_CHARACTERS: Final = 8
_MISREAD: Final = str.maketrans("ILO", "110")


def code_text(entropy: bytes) -> str:
    """`ABCD-EFGH` of 5 random bytes."""
    assert len(entropy) == CODE_BYTES
    number = int.from_bytes(entropy, "big")
    text = "".join(ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))
    return f"{text[:4]}-{text[4:]}"


def parse_code(text: str) -> str:
    """The code as `code_text` writes it, from whatever a person typed. Raises Malformed."""
    plain = "".join(text.split()).replace("-", "").upper().translate(_MISREAD)
    if len(plain) != _CHARACTERS or any(character not in ALPHABET for character in plain):
        raise Malformed("claim_invalid", f"a claim code has eight letters and digits, not {text[:32]!r}")
    return f"{plain[:4]}-{plain[4:]}"


def secret_hash(secret: bytes) -> bytes:
    """How codes, tickets, tokens and the admin secret are stored: they are random, so one SHA-256 is enough."""
    return hashlib.sha256(b"dccn/hub-secret/v1" + secret).digest()
