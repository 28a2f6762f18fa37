"""The fleet's certificate authority: P-256 X.509, one CA per hub, whose key never leaves the hub's data directory."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chain import files
from chain.crypto import address
from chain.errors import Faulty, Malformed
from fleet.hub.identity.keyfiles import IDENTITY_FOLDER
from fleet.protocol.limits import CERTIFICATE_BACKDATE_S, CERTIFICATE_LIFETIME_S
from fleet.protocol.topics import topic_id

CA_LIFETIME_S: Final = 10 * 366 * 24 * 3600
SERVER_LIFETIME_S: Final = 397 * 24 * 3600
HUB_USER: Final = "hub"
"""CN of the hub's own client certificate; no device can have it, since theirs are 32 hex digits."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate in DER, its serial number in hex, and its end."""

    certificate: bytes
    serial: str
    not_after_ms: int


class Authority:
    """The CA. Every time is given: it reads no clock."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def open(cls, home: Path, fleet: str, now_ms: int) -> Authority:
        """Read the CA of this home, or make it. Raises Faulty(home_invalid) for damaged files."""
        folder = home / IDENTITY_FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_path, certificate_path = folder / "ca.key", folder / "ca.pem"
        try:
            if not key_path.exists():
                files.replace(key_path, _pem(ec.generate_private_key(ec.SECP256R1())))
            key = load_pem_private_key(key_path.read_bytes(), None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            if not certificate_path.exists():
                files.replace(certificate_path, _self_signed(key, fleet, now_ms).public_bytes(Encoding.PEM))
            return cls(x509.load_pem_x509_certificate(certificate_path.read_bytes()), key)
        except (ValueError, AssertionError, UnsupportedAlgorithm) as error:
            raise Faulty("home_invalid", f"reading the CA in {folder}: {error}") from None

    @property
    def der(self) -> bytes:
        return self._certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo: what tokens pin."""
        return self._certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def issue_device(self, csr_der: bytes, device: bytes, now_ms: int) -> Issued:
        """A client certificate of 24 h for the CSR's key, whose own subject is ignored.

        CN is the device's topic id, which is half of its id of 32 bytes; the whole id is the URI among its other names.

        Raises Malformed for a CSR that does not parse, is not signed by its key, or is not P-256.
        """
        try:
            csr = x509.load_der_x509_csr(csr_der)
            public, signed = csr.public_key(), csr.is_signature_valid
        except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
            raise Malformed("malformed", f"the certificate request does not parse: {error}") from None
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
            raise Malformed("bad_key", "the certificate request's key is not P-256")
        if not signed:
            raise Malformed("bad_signature", "the certificate request is not signed by its own key")
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(address.device_urn(device))]
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        return self._issue(public, topic_id(device), now_ms, CERTIFICATE_LIFETIME_S, usage, names)

    def issue_pair(self, name: str, hosts: Iterable[str], now_ms: int) -> tuple[bytes, bytes]:
        """(key PEM, certificate PEM) of this hub's own: a server for `hosts`, or with no hosts a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_general_name(host) for host in hosts]
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        issued = self._issue(key.public_key(), name, now_ms, SERVER_LIFETIME_S, usage, names)
        pem = x509.load_der_x509_certificate(issued.certificate).public_bytes(Encoding.PEM)
        return _pem(key), pem

    def _issue(
        self,
        public: ec.EllipticCurvePublicKey,
        name: str,
        now_ms: int,
        lifetime_s: int,
        usage: x509.ObjectIdentifier,
        names: list[x509.GeneralName] | None = None,
    ) -> Issued:
        not_after = _time(now_ms) + datetime.timedelta(seconds=lifetime_s)
        serial = x509.random_serial_number()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self._certificate.subject)
            .public_key(public)
            .serial_number(serial)
            .not_valid_before(_time(now_ms) - datetime.timedelta(seconds=CERTIFICATE_BACKDATE_S))
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(certificate.public_bytes(Encoding.DER), f"{serial:x}", int(not_after.timestamp()) * 1000)


def _self_signed(key: ec.EllipticCurvePrivateKey, fleet: str, now_ms: int) -> x509.Certificate:
    name = _name(f"dccn fleet {fleet}")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(now_ms) - datetime.timedelta(seconds=CERTIFICATE_BACKDATE_S))
        .not_valid_after(_time(now_ms) + datetime.timedelta(seconds=CA_LIFETIME_S))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _time(now_ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(now_ms // 1000, datetime.UTC)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
