"""TPM2_MakeCredential without a TPM: a secret that opens only in the TPM that holds both keys it names.

Source: Trusted Platform Module Library, part 1 (architecture), 24 (credential protection), 11.4.10 (KDFa, KDFe), and
annexes B.10.4 and C.6.1 (how the seed is protected by RSA and by ECDH).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from fleet.hub.attestation.public_area import PublicArea

DIGEST_BYTES = 32


def make_credential(
    endorsement: PublicArea, name: bytes, secret: bytes, entropy: Callable[[int], bytes] = os.urandom
) -> tuple[bytes, bytes]:
    """(TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET), both with their sizes; `name` is the attestation key's."""
    seed, encrypted_seed = _seed(endorsement, entropy)
    return sized(protect(seed, endorsement.symmetric_bits, name, secret)), sized(encrypted_seed)


def protect(seed: bytes, symmetric_bits: int, name: bytes, secret: bytes) -> bytes:
    """The secret under the seed's keys: TPM2B of the HMAC, then the encrypted TPM2B of the secret."""
    key = kdfa(seed, b"STORAGE", name, b"", symmetric_bits)
    # The zero vector is the specification's: each seed protects one secret.
    encryptor = Cipher(algorithms.AES(key), CFB(bytes(16))).encryptor()
    encrypted = encryptor.update(sized(secret)) + encryptor.finalize()
    integrity = hmac.digest(kdfa(seed, b"INTEGRITY", b"", b"", DIGEST_BYTES * 8), encrypted + name, hashlib.sha256)
    return sized(integrity) + encrypted


def kdfa(key: bytes, label: bytes, context_u: bytes, context_v: bytes, bits: int) -> bytes:
    """SP 800-108 in counter mode with HMAC-SHA-256, as TPMs use it."""
    fixed = label + b"\0" + context_u + context_v + struct.pack(">I", bits)
    blocks = (
        hmac.digest(key, struct.pack(">I", number) + fixed, hashlib.sha256) for number in range(1, -(-bits // 256) + 1)
    )
    return b"".join(blocks)[: bits // 8]


def kdfe(shared: bytes, label: bytes, party_u: bytes, party_v: bytes) -> bytes:
    """SP 800-56A with SHA-256, one block: 32 bytes from the shared point's x coordinate."""
    return hashlib.sha256(struct.pack(">I", 1) + shared + label + b"\0" + party_u + party_v).digest()


def sized(data: bytes) -> bytes:
    """A TPM2B: the length in two bytes, then the bytes."""
    return struct.pack(">H", len(data)) + data


def _seed(endorsement: PublicArea, entropy: Callable[[int], bytes]) -> tuple[bytes, bytes]:
    """(seed, seed protected for the endorsement key)."""
    public = endorsement.to_cryptography()
    if isinstance(public, rsa.RSAPublicKey):
        seed = entropy(DIGEST_BYTES)
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"IDENTITY\0")
        return seed, public.encrypt(seed, oaep)
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    shared = ephemeral.exchange(ec.ECDH(), public)
    own, theirs = ephemeral.public_key().public_numbers(), public.public_numbers()
    x, y = own.x.to_bytes(32, "big"), own.y.to_bytes(32, "big")
    return kdfe(shared, b"IDENTITY", x, theirs.x.to_bytes(32, "big")), sized(x) + sized(y)
