"""The device's identity as a P-256 key in the TPM.

It is a primary key: the TPM derives it from its own seed and a fixed template, so nothing is stored, and the same TPM
gives the same key after an update, on a new disk, under another Debian. Clearing the TPM in the firmware's setup ends
it for ever.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from appliance.agent.tpm.tools import Tpm
from chain.crypto.keys import Algorithm, PublicKey
from chain.crypto.p256 import raw_signature
from chain.errors import Faulty

TEMPLATE: Final = ("--hierarchy", "o", "--key-algorithm", "ecc256:ecdsa-sha256:null", "--attributes")
ATTRIBUTES: Final = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|noda"


class TpmIdentityKey:
    """A `SigningKey` whose secret no program ever sees. Raises Faulty `tpm_failed` when the TPM does not do it."""

    algorithm: Algorithm = "p256"

    def __init__(self, tpm: Tpm) -> None:
        self.tpm = tpm
        self.context = tpm.path("identity.ctx")
        tpm.run("createprimary", *TEMPLATE, ATTRIBUTES, "--key-context", self.context)
        self.public = _public(tpm, self.context)

    def sign(self, message: bytes) -> bytes:
        """r and s, 64 bytes with low s, over SHA-256 of the message."""
        with self.tpm.together():
            digest = self.tpm.write("digest", hashlib.sha256(message).digest())
            signed = self.tpm.path("signature")
            how = ("--hash-algorithm", "sha256", "--scheme", "ecdsa", "--format", "plain")
            self.tpm.run("sign", "--key-context", self.context, *how, "--digest", digest, "--signature", signed)
            try:
                return raw_signature(signed.read_bytes())
            except ValueError as error:
                raise Faulty("tpm_failed", f"the TPM's signature cannot be read: {error}") from error

    def public_area(self) -> bytes:
        """TPMT_PUBLIC."""
        return public_area(self.tpm, self.context)


def public_area(tpm: Tpm, context: Path) -> bytes:
    """TPMT_PUBLIC of a key: what the TPM hashes to name it."""
    path = tpm.path("public")
    with tpm.together():
        tpm.run("readpublic", "--object-context", context, "--format", "tss", "--output", path)
        return unsized(path.read_bytes())


def unsized(data: bytes) -> bytes:
    """The content of a TPM2B, whose first two bytes are its length. Raises Faulty `tpm_failed`."""
    if len(data) < 2 or int.from_bytes(data[:2], "big") != len(data) - 2:
        raise Faulty("tpm_failed", "the TPM wrote a structure whose length is another than it says")
    return data[2:]


def _public(tpm: Tpm, context: Path) -> PublicKey:
    path = tpm.path("public.pem")
    tpm.run("readpublic", "--object-context", context, "--format", "pem", "--output", path)
    key = load_pem_public_key(path.read_bytes())
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Faulty("tpm_failed", "the TPM made a key of another kind than P-256")
    numbers = key.public_numbers()
    return PublicKey.from_p256(numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big"))
