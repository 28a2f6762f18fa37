"""The hub's own TPM2_MakeCredential: byte for byte what tpm2-tools make, and opened by a TPM."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chain.errors import Faulty
from fleet.hub.attestation.credential import kdfe, make_credential, protect, sized
from fleet.hub.attestation.public_area import PublicArea, endorsement_key
from fleet.protocol.attestation import Challenge

NAME = b"\x00\x0b" + hashlib.sha256(b"some attestation key").digest()
SECRET = b"a secret that only one TPM opens"
FILE_HEAD = 8


@pytest.mark.parametrize("length", [1, 16, 32])
def test_for_an_rsa_key_the_protected_secret_is_that_of_tpm2_tools(tmp_path: Path, length: int) -> None:
    key = rsa.generate_private_key(65_537, 2_048)
    blob, seed_for_key = _made_by_tools(tmp_path, "rsa", key.public_key(), SECRET[:length])
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"IDENTITY\0")
    assert blob == protect(key.decrypt(seed_for_key, oaep), 128, NAME, SECRET[:length])


@pytest.mark.parametrize("length", [1, 16, 32])
def test_for_an_ecc_key_the_protected_secret_is_that_of_tpm2_tools(tmp_path: Path, length: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    blob, point = _made_by_tools(tmp_path, "ecc", key.public_key(), SECRET[:length])
    x = int.from_bytes(point[2:34], "big")
    y = int.from_bytes(point[36:], "big")
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
    own = key.public_key().public_numbers().x.to_bytes(32, "big")
    assert blob == protect(kdfe(shared, b"IDENTITY", point[2:34], own), 128, NAME, SECRET[:length])


@pytest.mark.parametrize("kind", ["rsa", "ecc"])
def test_the_tpm_that_holds_both_keys_opens_the_secret(spoken, kind: str) -> None:
    endorsement, activate = _endorsement(spoken, kind)
    name = PublicArea.parse(spoken.key.public).name
    blobs = make_credential(endorsement_key(endorsement), name, SECRET)
    assert activate(Challenge(b"c" * 16, *blobs, b"n" * 32)) == SECRET


@pytest.mark.parametrize("kind", ["rsa", "ecc"])
def test_a_secret_for_another_attestation_key_stays_closed(spoken, kind: str) -> None:
    endorsement, activate = _endorsement(spoken, kind)
    blobs = make_credential(endorsement_key(endorsement), NAME, SECRET)
    with pytest.raises(Faulty, match="tpm_failed"):
        activate(Challenge(b"c" * 16, *blobs, b"n" * 32))


def _endorsement(spoken, kind: str):
    """The endorsement key of this kind, and how to open what is addressed to it."""
    context, public = spoken.tpm.path(f"{kind}.ctx"), spoken.tpm.path(f"{kind}.public")
    spoken.tpm.run("createek", "--key-algorithm", kind, "--ek-context", context, "-u", public)

    def activate(challenge: Challenge) -> bytes:
        usual, spoken.key._endorsement_context = spoken.key._endorsement_context, context
        try:
            return spoken.key.activate(challenge)
        finally:
            spoken.key._endorsement_context = usual

    return public.read_bytes()[2:], activate


def _made_by_tools(folder: Path, kind: str, public, secret: bytes) -> tuple[bytes, bytes]:
    """(content of TPM2B_ID_OBJECT, content of TPM2B_ENCRYPTED_SECRET) by `tpm2_makecredential` without a TPM."""
    (folder / "public.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (folder / "secret").write_bytes(secret)
    files = ["-u", folder / "public.pem", "-s", folder / "secret", "-o", folder / "made"]
    environment = {name: value for name, value in os.environ.items() if name != "TPM2TOOLS_TCTI"}
    command = ["tpm2", "makecredential", "-T", "none", "-G", kind, "-n", NAME.hex(), *map(str, files)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    data = (folder / "made").read_bytes()[FILE_HEAD:]
    size = int.from_bytes(data[:2], "big")
    blob, rest = data[2 : 2 + size], data[2 + size :]
    assert rest == sized(rest[2:])
    return blob, rest[2:]
