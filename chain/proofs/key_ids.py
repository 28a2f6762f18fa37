"""Which key signed an envelope: the 16-byte key ids."""

from __future__ import annotations

from hashlib import sha256

from chain.crypto.keys import PublicKey

KEY_ID_BYTES = 16


def record_key_id(record_public: bytes) -> bytes:
    """Id of a boot's record key: SHA-256 of its 32 bytes, the first 16."""
    return sha256(record_public).digest()[:KEY_ID_BYTES]


def key_id(public: PublicKey) -> bytes:
    """Id of an identity, command or fleet root key: SHA-256 of its canonical COSE_Key, the first 16 bytes."""
    return sha256(public.encoded()).digest()[:KEY_ID_BYTES]
