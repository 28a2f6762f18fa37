"""Secure Boot with keys of one's own: made once, kept by whoever builds images, enrolled in each machine's firmware.

The platform key (PK) owns the firmware's lists, the key exchange key (KEK) may change them, a program starts if a key
in `db` signed it. Sources: UEFI Specification 2.10, chapter 32; systemd-boot(7), `secure-boot-enroll`.
"""

from __future__ import annotations

import datetime
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from appliance.image.run import run
from appliance.image.signature_lists import signature_list, update
from chain import files
from chain.errors import Faulty

SIGNERS: Final = {"PK": "PK", "KEK": "PK", "db": "KEK"}
"""Each list of the firmware, and the key that may write it."""
TITLES: Final = {"PK": "platform key", "KEK": "key exchange key", "db": "image signing key"}
RSA_BITS: Final = 2_048
"""What every firmware takes."""
YEARS: Final = 30
_NAMESPACE: Final = uuid.UUID("0c8c6f0e-6a4d-5c0e-9d0b-5b1f6d7c2a11")


@dataclass(frozen=True, slots=True)
class Keys:
    """A folder of keys that was made here: `NAME.key`, `NAME.pem` and `NAME.auth` for each list."""

    folder: Path

    def sign(self, program: bytes, epoch_s: int) -> bytes:
        """The PE file with its signature, the same bytes whenever it is made: the signing time is `epoch_s`.

        Raises Faulty `build_failed`, Unavailable `engine_missing`.
        """
        moment = datetime.datetime.fromtimestamp(epoch_s, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        with tempfile.TemporaryDirectory() as folder:
            plain, signed = Path(folder, "plain.efi"), Path(folder, "signed.efi")
            plain.write_bytes(program)
            words: list[str | Path] = [
                "--key",
                self.folder / "db.key",
                "--cert",
                self.folder / "db.pem",
                "--output",
                signed,
                plain,
            ]
            run(["faketime", "-f", moment, "sbsign", *words], env={"TZ": "UTC"})
            return signed.read_bytes()

    def enrolment(self) -> dict[str, bytes]:
        """The files that systemd-boot writes into the firmware's lists, by name."""
        return {f"{name}.auth": (self.folder / f"{name}.auth").read_bytes() for name in SIGNERS}


def make_keys(folder: Path, also: Sequence[Path] = (), *, name: str = "dccn") -> Keys:
    """Make a folder of keys. `also`: certificates of others whose programs may start, such as a graphics card's maker.

    Raises Faulty `boot_keys_invalid` for a folder that is not empty or a certificate that cannot be read.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Faulty("boot_keys_invalid", f"{folder} is not empty: keys are never made over others")
    others = [_certificate(path) for path in also]
    folder.mkdir(parents=True, exist_ok=True, mode=files.FOLDER_MODE)
    for each, title in TITLES.items():
        key = rsa.generate_private_key(65_537, RSA_BITS)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files.replace(folder / f"{each}.key", pem, mode=files.PRIVATE_MODE)
        certificate = _self_signed(key, f"{name} {title}")
        files.replace(folder / f"{each}.pem", certificate.public_bytes(Encoding.PEM), mode=files.PUBLIC_MODE)
    for each, signer in SIGNERS.items():
        _make_update(folder, each, signer, others if each == "db" else [])
    return Keys(folder)


def open_keys(folder: Path) -> Keys:
    """The keys in a folder that `make_keys` made. Raises Faulty `boot_keys_invalid`."""
    for name in SIGNERS:
        for suffix in ("key", "pem", "auth"):
            path = folder / f"{name}.{suffix}"
            if not path.is_file() or not path.stat().st_size:
                raise Faulty("boot_keys_invalid", f"there is no {path}")
        try:
            key = load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
            certified = _certificate(folder / f"{name}.pem").public_key()
        except (ValueError, TypeError) as error:
            raise Faulty("boot_keys_invalid", f"{folder / name}.key cannot be read: {error}") from None
        if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certified:
            raise Faulty("boot_keys_invalid", f"{name}.pem in {folder} certifies another key than {name}.key")
    return Keys(folder)


def _make_update(folder: Path, name: str, signer: str, others: Sequence[x509.Certificate]) -> None:
    """`NAME.auth`: the list's certificates, signed so that the firmware takes them."""
    lists = signature_list([_certificate(folder / f"{name}.pem"), *others], _NAMESPACE)
    key = load_pem_private_key((folder / f"{signer}.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    now = datetime.datetime.now(datetime.UTC)
    signed = update(name, lists, key, _certificate(folder / f"{signer}.pem"), now)
    files.replace(folder / f"{name}.auth", signed, mode=files.PUBLIC_MODE)


def _self_signed(key: rsa.RSAPrivateKey, title: str) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=366 * YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )


def _certificate(path: Path) -> x509.Certificate:
    try:
        data = path.read_bytes()
        pem = b"-----BEGIN" in data
        return x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
    except (OSError, ValueError) as error:
        raise Faulty("boot_keys_invalid", f"{path} is no certificate that can be read: {error}") from None
