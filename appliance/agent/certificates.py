"""The TLS client key and certificate: a software key of its own, so that the identity key never meets a TLS library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from appliance.agent.tls import issued_by
from chain import files
from chain.errors import Refused

HALF = 2


@dataclass(frozen=True, slots=True)
class Requested:
    """A new TLS key in memory, and its certificate request in DER. The key is stored only with its certificate."""

    key: ec.EllipticCurvePrivateKey
    csr: bytes

    @classmethod
    def make(cls, topic_id: str) -> Requested:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, topic_id)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        return cls(key, request.public_bytes(Encoding.DER))


@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate may be used, in milliseconds since the Unix epoch."""

    not_before_ms: int
    not_after_ms: int

    @property
    def half_life_ms(self) -> int:
        """From here on it should be renewed."""
        return self.not_before_ms + (self.not_after_ms - self.not_before_ms) // HALF


@dataclass(frozen=True, slots=True)
class CertificateStore:
    """Certificate and key in one file, `client.pem` of mode 0600: they change together or not at all."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "client.pem"

    def save(self, requested: Requested, certificate_der: bytes) -> None:
        self.folder.mkdir(mode=files.FOLDER_MODE, parents=True, exist_ok=True)
        certificate = x509.load_der_x509_certificate(certificate_der)
        key = requested.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files.replace(self.file, certificate.public_bytes(Encoding.PEM) + key)

    def validity(self) -> Validity | None:
        """None when there is no usable certificate with its key: then only a renewal helps."""
        try:
            data = self.file.read_bytes()
            certificate = x509.load_pem_x509_certificate(data)
        except (OSError, ValueError):
            return None
        if b"PRIVATE KEY" not in data:
            return None
        return _validity(certificate)


def check_certificate(certificate_der: bytes, ca_der: bytes, requested: Requested, topic_id: str) -> Validity:
    """Refused `ca_mismatch` unless the CA issued this certificate for exactly our key and our name."""
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        ca = x509.load_der_x509_certificate(ca_der)
    except ValueError as error:
        raise Refused("ca_mismatch", f"the hub's certificate does not parse: {error}") from error
    names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [topic_id]:
        raise Refused("ca_mismatch", f"the hub issued a certificate for {names}, this device is {topic_id}")
    if _spki(certificate.public_key()) != _spki(requested.key.public_key()):
        raise Refused("ca_mismatch", "the hub issued a certificate for another key")
    if not issued_by(certificate, ca):
        raise Refused("ca_mismatch", "the certificate is not signed by the hub's CA")
    return _validity(certificate)


def _spki(key: object) -> bytes:
    assert hasattr(key, "public_bytes")
    data: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return data


def _validity(certificate: x509.Certificate) -> Validity:
    return Validity(
        int(certificate.not_valid_before_utc.timestamp() * 1000),
        int(certificate.not_valid_after_utc.timestamp() * 1000),
    )
