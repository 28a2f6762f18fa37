"""TLS towards the hub: its CA is pinned, hosts are checked, and time is the hub's, as this machine's may be wrong."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chain import outward
from chain.errors import Refused, Unavailable
from fleet.protocol.enrolment import ca_pin

NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, nameless in `ssl`; `check_dates` does it by the hub's time."""

MAX_CHAIN = 8


def context_for(ca_pem: str | None, certificate: Path | None = None) -> ssl.SSLContext:
    """A client's TLS 1.2+ context that trusts `ca_pem` alone (None: the system's WebPKI roots).

    `certificate` is a PEM file with certificate and key, for mutual TLS. With a pinned CA, validity dates are left to
    `check_dates`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_pem is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=ca_pem)
        context.verify_flags = ssl.VerifyFlags(context.verify_flags | NO_CHECK_TIME)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


def check_dates(sock: ssl.SSLSocket, now_ms: int) -> None:
    """Refused `certificate_expired` unless the peer's certificate is valid at `now_ms`, the hub's time."""
    peer: dict[str, Any] = sock.getpeercert() or {}
    not_before, not_after = peer.get("notBefore"), peer.get("notAfter")
    if isinstance(not_before, str) and ssl.cert_time_to_seconds(not_before) * 1000 > now_ms:
        raise Refused("certificate_expired", f"the hub's certificate is valid only from {not_before} on")
    if isinstance(not_after, str) and ssl.cert_time_to_seconds(not_after) * 1000 < now_ms:
        raise Refused("certificate_expired", f"the hub's certificate has expired on {not_after}")


def fetch_ca(host: str, port: int, pin: bytes | None, timeout_s: float) -> str:
    """The PEM of the CA that the hub shows in its chain and that `pin` names (None: whichever CA it shows).

    Nothing secret is sent on this connection. Refused `ca_mismatch` when no certificate of the chain has the pin.
    """
    shown = _shown_chain(host, port, timeout_s)
    for certificate in shown:
        if _is_ca(certificate) and (pin is None or ca_pin(spki(certificate)) == pin):
            return certificate.public_bytes(Encoding.PEM).decode()
    found = ", ".join(ca_pin(spki(certificate)).hex() for certificate in shown if _is_ca(certificate)) or "no CA at all"
    wanted = pin.hex() if pin else "a CA certificate"
    raise Refused("ca_mismatch", f"{host}:{port} shows {found} where {wanted} was expected")


def spki(certificate: x509.Certificate) -> bytes:
    """DER of the certificate's SubjectPublicKeyInfo, which pins are made of."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    """Whether the CA's key signed this certificate."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return constraints.ca and issued_by(certificate, certificate)


def _shown_chain(host: str, port: int, timeout_s: float) -> list[x509.Certificate]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            outward.connect(host, port, timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as sock,
        ):
            chain = _unverified_chain(sock)
    except OSError as error:
        raise Unavailable("unreachable", f"the hub at {host}:{port} does not answer over TLS: {error}") from error
    return [x509.load_der_x509_certificate(der) for der in chain[:MAX_CHAIN]]


def _unverified_chain(sock: ssl.SSLSocket) -> list[bytes]:
    public: Callable[[], list[bytes]] | None = getattr(sock, "get_unverified_chain", None)
    if public is not None:  # Python 3.13 and later
        return public()
    inner: Any = sock._sslobj  # type: ignore[attr-defined]  # 3.11 and 3.12 have it one level down
    return [bytes(ssl.PEM_cert_to_DER_cert(shown.public_bytes())) for shown in inner.get_unverified_chain()]
