"""Who made a TPM: its endorsement certificate against the vendors' certificates that the hub's admin put in a folder.

Any certificate in the folder is an anchor, root or intermediate. An unknown maker is no refusal: the machine is then
shown with an unproven manufacturer, since an emulated TPM can say everything that a real one says.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chain.errors import Refused
from fleet.hub.attestation.public_area import PublicArea

SUFFIXES: Final = (".pem", ".crt", ".cer", ".der")
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the parser raises for bytes that are no certificate, or one of a kind that it does not know."""


def manufacturer(certificate: bytes, endorsement: PublicArea, folder: Path, now_ms: int) -> str | None:
    """The vendor's name as its certificate has it, or None for an unproven manufacturer.

    Raises Refused `attestation_invalid` when the certificate is for another key than the one it came with.
    """
    try:
        claimed = x509.load_der_x509_certificate(certificate)
        key = claimed.public_key()
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        valid = claimed.not_valid_before_utc <= now <= claimed.not_valid_after_utc
    except UNREADABLE:
        return None
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_bytes(*spki) != endorsement.to_cryptography().public_bytes(*spki):
        raise Refused("attestation_invalid", "the endorsement certificate is for another key")
    if not valid:
        return None
    return next((_title(anchor) for anchor in anchors(folder) if _issued(claimed, anchor, now)), None)


def anchors(folder: Path) -> Sequence[x509.Certificate]:
    """The certificates in the folder that can be read; none when there is no folder."""
    found: list[x509.Certificate] = []
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if path.suffix in SUFFIXES and path.is_file():
            try:
                data = path.read_bytes()
                pem = b"-----BEGIN" in data
                found += x509.load_pem_x509_certificates(data) if pem else [x509.load_der_x509_certificate(data)]
            except (*UNREADABLE, OSError):
                continue
    return found


def _issued(certificate: x509.Certificate, anchor: x509.Certificate, now: datetime) -> bool:
    try:
        certificate.verify_directly_issued_by(anchor)
        constraints = anchor.extensions.get_extension_for_class(x509.BasicConstraints).value
        return constraints.ca and anchor.not_valid_before_utc <= now <= anchor.not_valid_after_utc
    except (*UNREADABLE, InvalidSignature, x509.ExtensionNotFound):
        return False


def _title(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()[:256] or "a vendor without a name"
