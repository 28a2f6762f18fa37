"""The device's identity: a P-256 key that is born on the machine and never leaves it, in its TPM where there is one."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from appliance.agent.files import read_json, write_json
from appliance.agent.keyfile import load_or_create
from appliance.agent.tpm.identity_key import TpmIdentityKey
from appliance.agent.tpm.tools import Tpm, open_tpm
from chain.crypto.address import device_id
from chain.crypto.keys import PublicKey, SigningKey
from chain.errors import DccnError, Faulty
from chain.files import PRIVATE_MODE
from fleet.protocol.topics import topic_id

KID_BYTES = 16
PURPOSE = "device identity"
IN_TPM = "tpm"


@dataclass(frozen=True, slots=True)
class Identity:
    """`device` is the 32-byte device id; `tpm_key` is the key itself where a TPM holds it.

    `evidence_level` 0: what the machine says of itself proves nothing; the hub's judgement raises it.
    """

    key: SigningKey
    device: bytes
    evidence_level: int = 0
    tpm_key: TpmIdentityKey | None = None
    without_tpm: str = field(default="", compare=False)

    @property
    def public(self) -> PublicKey:
        return self.key.public

    @property
    def kid(self) -> bytes:
        """How envelopes name this key: SHA-256(COSE_Key)[:16]."""
        return sha256(self.public.encoded()).digest()[:KID_BYTES]

    @property
    def topic_id(self) -> str:
        """First 32 hex digits of the device id: the name in topics, certificates and on screens."""
        return topic_id(self.device)

    @property
    def held_by(self) -> str:
        """Where the secret is, for people."""
        return "the TPM" if self.tpm_key is not None else "a file"


def open_identity(path: Path, tcti: str | None = None) -> Identity:
    """The identity that `path` stores or names, made first when there is none: in the TPM at `tcti` if that can be
    used, else in the file itself. Where it was made it stays, so that a TPM that fails never makes another device.

    Faulty `home_invalid` when the file is damaged, `tpm_failed` when the TPM that holds the identity is not there.
    """
    public = _in_tpm(path) if path.exists() else None
    if public is None and path.exists():
        return _in_file(path, "the identity was made in a file")
    tpm, missing = open_tpm(tcti)
    if public is None:
        try:
            return _make(path, tpm) if tpm is not None else _in_file(path, missing)
        except DccnError as error:
            if error.code not in ("tpm_failed", "engine_missing"):
                raise
            return _in_file(path, error.message)
    if tpm is None:
        raise Faulty("tpm_failed", f"the identity named in {path} is in a TPM: {missing}")
    key = TpmIdentityKey(tpm)
    if key.public.encoded() != public:
        raise Faulty("tpm_failed", f"the TPM gives another key than the identity named in {path}: it was cleared")
    return Identity(key, device_id(key.public), tpm_key=key)


def _make(path: Path, tpm: Tpm) -> Identity:
    key = TpmIdentityKey(tpm)
    document = {"purpose": PURPOSE, "algorithm": key.algorithm, "held_by": IN_TPM, "public": key.public.encoded().hex()}
    write_json(path, document, mode=PRIVATE_MODE)
    return Identity(key, device_id(key.public), tpm_key=key)


def _in_file(path: Path, why: str) -> Identity:
    key = load_or_create(path, "p256", PURPOSE)
    return Identity(key, device_id(key.public), without_tpm=why)


def _in_tpm(path: Path) -> bytes | None:
    """The COSE_Key that a file names as held by a TPM; None when it holds the secret itself."""
    document = read_json(path)
    if not isinstance(document, dict) or document.get("held_by") != IN_TPM:
        return None
    try:
        return bytes.fromhex(str(document["public"]))
    except (KeyError, ValueError):
        raise Faulty("home_invalid", f"{path} names no public key of an identity in a TPM") from None
