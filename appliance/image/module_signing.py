"""The key that signs kernel modules of images: that of Secure Boot where there is one, else one of the builder's own.

With Secure Boot a kernel loads only modules of keys that the firmware lists, which the image signing key is among. The
builder's own is made at the first build and kept: who enrols it, enrols it for years.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.image import secure_boot
from chain.files import PRIVATE_MODE, replace

KEY_BITS: Final = 3072
KEY_YEARS: Final = 20
COMMON_NAME: Final = "dccn kernel modules"


@dataclass(frozen=True, slots=True)
class ModuleKey:
    """An RSA key (PEM, no passphrase) and its certificate (PEM or DER), as files."""

    key: Path
    certificate: Path

    def certificate_der(self) -> bytes:
        content = self.certificate.read_bytes()
        is_pem = content.startswith(b"-----BEGIN")
        certificate = x509.load_pem_x509_certificate(content) if is_pem else x509.load_der_x509_certificate(content)
        return certificate.public_bytes(serialization.Encoding.DER)


def of_secure_boot(keys: secure_boot.Keys) -> ModuleKey:
    return ModuleKey(keys.folder / "db.key", keys.folder / "db.pem")


def of_builder(folder: Path) -> ModuleKey:
    """The key in `folder`, made if it is missing."""
    key_file, certificate_file = folder / "module-signing.key", folder / "module-signing.der"
    if key_file.is_file() and certificate_file.is_file():
        return ModuleKey(key_file, certificate_file)
    folder.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=365 * KEY_YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    replace(key_file, pem, mode=PRIVATE_MODE)
    replace(certificate_file, certificate.public_bytes(serialization.Encoding.DER))
    return ModuleKey(key_file, certificate_file)
