"""The keys by which a TPM vouches: the endorsement key that its maker certified, and an attestation key beside it.

Both are derived from the TPM's endorsement seed by fixed templates, so they are the same in every run. The attestation
key is restricted: it signs only what the TPM itself made, a quote of its registers or a certification of another key.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.agent.tpm.identity_key import TpmIdentityKey, public_area, unsized
from appliance.agent.tpm.tools import Tpm
from chain.errors import Faulty
from fleet.protocol.attestation import DIGEST_BYTES, MAX_CERTIFICATE_BYTES, QUOTED_PCRS, Challenge

TEMPLATE: Final = ("--hierarchy", "e", "--key-algorithm", "ecc256:ecdsa-sha256:null", "--attributes")
ATTRIBUTES: Final = "restricted|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|noda"
CERTIFICATES: Final = (("ecc", "0x1C0000A"), ("rsa", "0x1C00002"))
"""Where makers put the certificate of the endorsement key of each kind (TCG EK Credential Profile, 2.2.1.4)."""
CREDENTIAL_FILE_HEAD: Final = struct.pack(">II", 0xBADCC0DE, 1)
"""How tpm2-tools begin the file that `activatecredential` reads."""
SELECTION: Final = "sha256:" + ",".join(map(str, QUOTED_PCRS))


@dataclass(frozen=True, slots=True)
class Quote:
    """TPMS_ATTEST, its TPMT_SIGNATURE, and the quoted registers in the order of `QUOTED_PCRS`."""

    statement: bytes
    signature: bytes
    pcrs: tuple[bytes, ...]


class AttestationKey:
    """Every method raises Faulty `tpm_failed` when the TPM does not do it."""

    def __init__(self, tpm: Tpm) -> None:
        self._tpm = tpm
        self._context, self._endorsement_context = tpm.path("attestation.ctx"), tpm.path("endorsement.ctx")
        kind, index = _certified(tpm)
        endorsement = tpm.path("endorsement.public")
        tpm.run("createek", "--key-algorithm", kind, "--ek-context", self._endorsement_context, "-u", endorsement)
        self.endorsement = unsized(endorsement.read_bytes())
        self.certificate = _certificate(tpm, index) if index else None
        tpm.run("createprimary", *TEMPLATE, ATTRIBUTES, "--key-context", self._context)
        self.public = public_area(tpm, self._context)

    def activate(self, challenge: Challenge) -> bytes:
        """The secret in the challenge; only the TPM that holds both keys can open it."""
        blob = self._tpm.write("credential", CREDENTIAL_FILE_HEAD + challenge.credential + challenge.encrypted_secret)
        session, opened = self._tpm.path("session.ctx"), self._tpm.path("secret")
        keys = ("--credentialedkey-context", self._context, "--credentialkey-context", self._endorsement_context)
        with self._tpm.together():
            self._tpm.run("startauthsession", "--policy-session", "--session", session)
            try:
                self._tpm.run("policysecret", "--session", session, "--object-context", "e")
                how = ("--credential-blob", blob, "--credentialkey-auth", f"session:{session}")
                self._tpm.run("activatecredential", *keys, *how, "--certinfo-data", opened)
            finally:
                self._tpm.run("flushcontext", session)
            return opened.read_bytes()

    def certify(self, key: TpmIdentityKey) -> tuple[bytes, bytes]:
        """(TPMS_ATTEST, TPMT_SIGNATURE): that this key is in this TPM."""
        statement, signature = self._tpm.path("certification"), self._tpm.path("certification.signature")
        keys = ("--certifiedkey-context", key.context, "--signingkey-context", self._context)
        with self._tpm.together():
            self._tpm.run(
                "certify", *keys, "--hash-algorithm", "sha256", "--attestation", statement, "--signature", signature
            )
            return statement.read_bytes(), signature.read_bytes()

    def quote(self, nonce: bytes) -> Quote:
        """The registers that say what was booted, signed together with the asker's nonce."""
        statement, signature = self._tpm.path("quote"), self._tpm.path("quote.signature")
        with self._tpm.together():
            what = ("--pcr-list", SELECTION, "--qualification", nonce.hex(), "--hash-algorithm", "sha256")
            where = ("--message", statement, "--signature", signature)
            self._tpm.run("quote", "--key-context", self._context, *what, *where)
            return Quote(statement.read_bytes(), signature.read_bytes(), read_pcrs(self._tpm))


def read_pcrs(tpm: Tpm) -> tuple[bytes, ...]:
    """The registers of `QUOTED_PCRS`, 32 bytes each."""
    path = tpm.path("pcrs")
    with tpm.together():
        tpm.run("pcrread", SELECTION, "--output", path)
        data = path.read_bytes()
    if len(data) != DIGEST_BYTES * len(QUOTED_PCRS):
        raise Faulty("tpm_failed", f"the TPM has no SHA-256 registers {SELECTION}: switch that bank on in its setup")
    return tuple(data[at : at + DIGEST_BYTES] for at in range(0, len(data), DIGEST_BYTES))


def _certified(tpm: Tpm) -> tuple[str, str | None]:
    """Of which kind to make the endorsement key, and where its certificate is: one that has one comes first."""
    present = tpm.run("getcap", "handles-nv-index").decode("ascii", "replace").upper()
    return next(((kind, index) for kind, index in CERTIFICATES if index.upper() in present), ("ecc", None))


def _certificate(tpm: Tpm, index: str) -> bytes | None:
    """The certificate in DER; what fills up its place in the TPM is cut off. None when it cannot be one."""
    path = tpm.path("certificate")
    tpm.run("nvread", "--hierarchy", "o", index, "--output", path)
    return _der(path)


def _der(path: Path) -> bytes | None:
    data = path.read_bytes()
    if data[:2] != b"\x30\x82" or len(data) < 4:
        return None
    length = 4 + int.from_bytes(data[2:4], "big")
    return data[:length] if length <= min(len(data), MAX_CERTIFICATE_BYTES) else None
