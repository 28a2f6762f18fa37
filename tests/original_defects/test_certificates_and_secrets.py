"""Defects 12 and 17: who holds which key, whom TLS believes, and which bearer is believed."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from appliance.agent.tls import context_for
from chain.crypto.address import device_id
from chain.crypto.keys import PrivateKey
from chain.errors import Malformed, Refused
from chain.proofs.delegation import Delegation, open_delegation, sign_delegation
from fleet.hub.identity.admin import AdminSecret
from fleet.hub.identity.authority import Authority

ROOT = Path(__file__).parents[2]
TREE = ("appliance", "chain", "dccn", "deploy", "docs", "fleet", "tests", "tools")
SECRET = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{32}")
UNVERIFIED = re.compile(r"CERT_NONE|check_hostname\s*=\s*False|verify\s*=\s*False|_create_unverified|tls_insecure")
NOW_MS = 1_790_000_000_000
DEVICE = b"\xab" * 32


def sources(*folders: str) -> list[Path]:
    inside = [path for folder in folders for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
    return [path for path in [*inside, *ROOT.glob("*.*")] if path.is_file()]


def request(key: ec.EllipticCurvePrivateKey) -> bytes:
    named = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return named.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_12_no_private_key_is_in_the_source() -> None:
    """There the CA's key and the hub's were."""
    assert len(sources(*TREE)) > 300
    assert [path for path in sources(*TREE) if SECRET.search(path.read_bytes())] == []


def test_12_every_hub_makes_its_own_ca_whose_key_only_its_user_reads(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("one", "two")]
    assert len({Authority.open(home, "home", NOW_MS).spki for home in homes}) == 2
    for home in homes:
        (key_file,) = home.rglob("ca.key")
        assert key_file.stat().st_mode & 0o077 == 0
        assert isinstance(load_pem_private_key(key_file.read_bytes(), None), ec.EllipticCurvePrivateKey)


def test_12_a_devices_key_is_born_on_the_device_and_its_hub_never_has_it(tmp_path: Path) -> None:
    """There the hub made it and wrote it to its log."""
    key = ec.generate_private_key(ec.SECP256R1())
    issued = Authority.open(tmp_path, "home", NOW_MS).issue_device(request(key), DEVICE, NOW_MS)
    assert x509.load_der_x509_certificate(issued.certificate).public_key() == key.public_key()
    number = key.private_numbers().private_value.to_bytes(32, "big")
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert kept and not any(number in data or number.hex().encode() in data for data in kept)


def test_12_tls_is_unverified_only_where_a_ca_is_fetched_to_be_compared_with_its_pin() -> None:
    """There every connection skipped verification."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in sources("appliance", "chain", "dccn", "fleet")
        if path.suffix == ".py" and UNVERIFIED.search(path.read_text())
    }
    assert found == {"appliance/agent/tls.py"}
    before, _, fetching = (ROOT / "appliance/agent/tls.py").read_text().partition("def _shown_chain")
    assert UNVERIFIED.search(fetching) and not UNVERIFIED.search(before)


@pytest.mark.parametrize(("ca", "host"), [("another", "127.0.0.1"), ("own", "localhost")])
def test_12_a_server_of_another_ca_or_name_gets_no_connection(tmp_path: Path, ca: str, host: str) -> None:
    own, another = (Authority.open(tmp_path / name, "home", NOW_MS) for name in ("own", "another"))
    pem = tmp_path / "server.pem"
    pem.write_bytes(b"".join(own.issue_pair("hub", ["127.0.0.1"], NOW_MS)))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, context_for((own if ca == "own" else another).pem.decode()), host)
    assert handshake(server, context_for(own.pem.decode()), "127.0.0.1")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str:
    """The TLS version that both ends of a pair of sockets agree on; raises what the client finds wrong."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as sock:
                sock.recv(1)
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours, client.wrap_socket(ours, server_hostname=host) as sock:
            return sock.version() or ""
    finally:
        thread.join(10)


def test_12_a_name_alone_is_nobody(tmp_path: Path) -> None:
    """There whoever knew a cluster's 64 bytes was that cluster; here its key must have signed."""
    mine, theirs = (PrivateKey.from_secret("ed25519", bytes([seed]) * 32) for seed in (1, 2))
    claimed = Delegation(device_id(theirs.public), mine.public.x, b"b" * 16, 0, 1)
    forged = open_delegation(sign_delegation(claimed, mine, "chain"))
    for identity in (mine.public, theirs.public):
        with pytest.raises(Refused, match="delegation_invalid"):
            forged.check(identity, "chain")


def test_12_a_certificate_request_that_another_signed_is_refused(tmp_path: Path) -> None:
    der = bytearray(request(ec.generate_private_key(ec.SECP256R1())))
    der[-1] ^= 1
    with pytest.raises(Malformed, match="bad_signature"):
        Authority.open(tmp_path, "home", NOW_MS).issue_device(bytes(der), DEVICE, NOW_MS)


def part(document: object, padding: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=") + padding


@pytest.mark.parametrize("padding", ["", "=", "=="])
@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256"])
def test_17_a_bearer_that_only_claims_to_be_the_admin_is_not(tmp_path: Path, algorithm: str, padding: str) -> None:
    """There the payload of a token was read without a look at its signature."""
    admin, secret = AdminSecret.open(tmp_path, os.urandom)
    claims = part({"sub": "admin", "role": "admin", "exp": 2**40}, padding)
    for signature in ("", "AAAA", secret):
        with pytest.raises(Refused, match="not_admin"):
            admin.check(f"Bearer {part({'alg': algorithm, 'typ': 'JWT'}, padding)}.{claims}.{signature}")
    admin.check(f"Bearer {secret}")
