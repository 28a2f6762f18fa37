"""Who made a TPM: whom the admin's folder vouches for, and everybody else."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from chain.errors import Refused
from fleet.hub.attestation.manufacturers import anchors, manufacturer
from fleet.hub.attestation.public_area import PublicArea

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
NOW_MS = round(NOW.timestamp() * 1000)
YEAR = datetime.timedelta(days=365)
VENDOR = ec.generate_private_key(ec.SECP384R1())


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def certificate(
    key, subject: str, *, issuer=None, ends: datetime.datetime = NOW + YEAR, ca: bool | None = None
) -> bytes:
    """In DER, by VENDOR unless its own key signs; `ca` None leaves the constraint out."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name("TPM vendor"))
        .public_key(key)
        .serial_number(7)
        .not_valid_before(NOW - 2 * YEAR)
        .not_valid_after(ends)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(issuer or VENDOR, hashes.SHA256()).public_bytes(Encoding.DER)


def vendor(**changes) -> bytes:
    return certificate(VENDOR.public_key(), "TPM vendor", **{"ca": True, **changes})


@pytest.fixture
def endorsement(spoken) -> PublicArea:
    return PublicArea.parse(spoken.key.endorsement)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vendor.der").write_bytes(vendor())
    return tmp_path


def test_a_certificate_by_a_known_vendor_names_it(endorsement: PublicArea, folder: Path) -> None:
    own = certificate(endorsement.to_cryptography(), "")
    assert manufacturer(own, endorsement, folder, NOW_MS) == "CN=TPM vendor"


def test_what_no_known_vendor_certified_is_unproven_and_not_refused(endorsement: PublicArea, tmp_path: Path) -> None:
    key = endorsement.to_cryptography()
    other_vendor = ec.generate_private_key(ec.SECP256R1())
    folders = {
        "none": [],
        "expired vendor": [vendor(ends=NOW - YEAR)],
        "no authority": [vendor(ca=False)],
        "unmarked": [vendor(ca=None)],
        "same name, another key": [certificate(other_vendor.public_key(), "TPM vendor", issuer=other_vendor, ca=True)],
    }
    for title, certificates in folders.items():
        folder = tmp_path / title
        if certificates:
            folder.mkdir()
            (folder / "vendor.cer").write_bytes(certificates[0])
        assert manufacturer(certificate(key, ""), endorsement, folder, NOW_MS) is None, title


@pytest.mark.parametrize("ends", [NOW - YEAR, NOW - datetime.timedelta(seconds=1)])
def test_an_expired_certificate_proves_no_maker(endorsement: PublicArea, folder: Path, ends: datetime.datetime) -> None:
    own = certificate(endorsement.to_cryptography(), "", ends=ends)
    assert manufacturer(own, endorsement, folder, NOW_MS) is None


def test_a_certificate_for_another_key_is_refused(endorsement: PublicArea, folder: Path) -> None:
    foreign = certificate(ec.generate_private_key(ec.SECP256R1()).public_key(), "")
    with pytest.raises(Refused, match="for another key"):
        manufacturer(foreign, endorsement, folder, NOW_MS)


@pytest.mark.parametrize("data", [b"", b"\x30\x82\xff\xff", b"no certificate" * 9])
def test_what_is_no_certificate_proves_nothing(endorsement: PublicArea, folder: Path, data: bytes) -> None:
    assert manufacturer(data, endorsement, folder, NOW_MS) is None


def test_every_truncation_and_a_flip_of_every_byte_prove_nothing_or_are_refused(
    endorsement: PublicArea, folder: Path
) -> None:
    own = certificate(endorsement.to_cryptography(), "")
    pieces = [own[:end] for end in range(0, len(own), 7)]
    pieces += [own[:at] + bytes([own[at] ^ 1]) + own[at + 1 :] for at in range(len(own))]
    for piece in pieces:
        try:
            assert manufacturer(piece, endorsement, folder, NOW_MS) is None or says_the_same(piece, own)
        except Refused:
            continue


def test_a_bit_after_the_signature_says_nothing(endorsement: PublicArea, folder: Path) -> None:
    """Where a signature ends in a zero bit, DER may call this bit unused. What the vendor signed is untouched."""
    own = b"\x01"
    while own[-1] & 1:
        own = certificate(endorsement.to_cryptography(), "")
    unused = len(own) - len(x509.load_der_x509_certificate(own).signature) - 1
    other = own[:unused] + b"\x01" + own[unused + 1 :]
    assert own[unused] == 0 and says_the_same(other, own)
    assert manufacturer(other, endorsement, folder, NOW_MS) == "CN=TPM vendor"


def says_the_same(piece: bytes, own: bytes) -> bool:
    one, other = x509.load_der_x509_certificate(piece), x509.load_der_x509_certificate(own)
    return (one.tbs_certificate_bytes, one.signature) == (other.tbs_certificate_bytes, other.signature)


def test_a_folder_may_hold_other_things_and_bundles(folder: Path) -> None:
    pem = x509.load_der_x509_certificate(vendor()).public_bytes(Encoding.PEM)
    (folder / "bundle.pem").write_bytes(pem * 3)
    (folder / "damaged.crt").write_bytes(b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n")
    (folder / "README.txt").write_text("who they are")
    (folder / "folder.der").mkdir()
    assert len(anchors(folder)) == 4
