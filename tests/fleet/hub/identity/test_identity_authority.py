"""The CA: what it certifies, for whom and for how long; and that its key stays at home."""

import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chain.crypto.address import device_of_urn
from chain.errors import Faulty, Malformed
from fleet.hub.identity.authority import Authority

DEVICE = bytes(range(32))
NOW = 1_790_000_000_000


@pytest.fixture
def authority(tmp_path):
    return Authority.open(tmp_path, "home", NOW)


def csr(key=None, name="somebody else"):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, algorithm)


def test_a_device_certificate_carries_the_topic_id_and_lives_a_day(authority):
    request = csr()
    issued = authority.issue_device(request.public_bytes(Encoding.DER), DEVICE, NOW)
    certificate = x509.load_der_x509_certificate(issued.certificate)
    assert certificate.subject.rfc4514_string() == f"CN={DEVICE.hex()[:32]}", "the CSR's own subject is ignored"
    assert certificate.public_key() == request.public_key()
    assert certificate.not_valid_after_utc.timestamp() * 1000 == issued.not_after_ms == NOW + 24 * 3600 * 1000
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(authority.der))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert len(list(names)) == 1 and device_of_urn(uri) == DEVICE, "half of the id would be half a proof"


def test_the_server_certificate_carries_every_host(authority):
    _, pem = authority.issue_pair("hub", ["127.0.0.1", "::1", "localhost", "10.1.2.3"], NOW)
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1", "10.1.2.3"]


def test_a_device_certificate_signs_no_other(authority):
    certificate = x509.load_der_x509_certificate(
        authority.issue_device(csr().public_bytes(Encoding.DER), DEVICE, NOW).certificate
    )
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is False


def test_a_request_that_its_key_did_not_sign_is_refused(authority):
    der = bytearray(csr().public_bytes(Encoding.DER))
    der[-1] ^= 1
    with pytest.raises(Malformed):
        authority.issue_device(bytes(der), DEVICE, NOW)


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()])
def test_only_p256_keys_are_certified(authority, key):
    with pytest.raises(Malformed) as error:
        authority.issue_device(csr(key).public_bytes(Encoding.DER), DEVICE, NOW)
    assert error.value.code == "bad_key"


@pytest.mark.parametrize("data", [b"", b"\x30", b"x" * 400])
def test_what_is_no_request_is_malformed(authority, data):
    with pytest.raises(Malformed):
        authority.issue_device(data, DEVICE, NOW)


def test_the_ca_is_the_same_after_a_restart(authority, tmp_path):
    assert Authority.open(tmp_path, "home", NOW + 10**9).der == authority.der


def test_the_key_is_readable_by_its_owner_alone(authority, tmp_path):
    key = tmp_path / "identity" / "ca.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def test_a_damaged_ca_is_told_in_one_sentence(authority, tmp_path):
    (tmp_path / "identity" / "ca.key").write_text("not a key")
    with pytest.raises(Faulty) as error:
        Authority.open(tmp_path, "home", NOW)
    assert error.value.code == "home_invalid"
