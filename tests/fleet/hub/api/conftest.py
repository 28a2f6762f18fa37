"""Both HTTP applications over a chain that the test holds in its hand."""

from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from litestar.testing import TestClient

from chain.crypto.keys import PrivateKey
from chain.errors import Unavailable
from chain.proofs.key_ids import key_id
from chain.wire import cose
from fleet.hub.api.admin import page_app
from fleet.hub.api.board import Board
from fleet.hub.api.context import Hub
from fleet.hub.api.devices import device_app
from fleet.hub.attestation.challenges import Challenges
from fleet.hub.ports import ChainTrust, ChainView
from fleet.hub.settings import Ports, Settings
from fleet.protocol.enrolment import COSE_MEDIA_TYPE


class Chain:
    """A chain that answers what the test put in."""

    def __init__(self):
        self.known = ChainTrust("dccn-test", b"g" * 32, 7, b"t" * 32, ("http://127.0.0.1:26657",), 5 * 10**18)
        self.shown = ChainView(chain_id="dccn-test", height=4711, reward_epoch=3, supply="10000000000", validators=4)
        self.sponsored = []

    def trust(self):
        if self.known is None:
            raise Unavailable("unreachable", "no header of the chain is verified yet")
        return self.known

    def view(self):
        return self.shown

    def sponsor(self, transaction):
        self.sponsored.append(transaction)
        return b"h" * 32


class Commands:
    """Notes what would be sent; the broker takes all of it but for devices in `deaf`."""

    def __init__(self):
        self.sent, self.deaf = [], set()

    def send(self, leaf, device, kind, body, valid_ms):
        if device not in self.deaf:
            self.sent.append((leaf.name, device, kind, body))
        return device not in self.deaf


class Device:
    """A device's side of the HTTPS API: its keys, and its signed requests."""

    def __init__(self, client, seed=1, algorithm="p256"):
        self.client = client
        self.key = PrivateKey.from_secret(algorithm, bytes([seed]) * 32)
        tls = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(tls, hashes.SHA256())
        self.csr = request.public_bytes(Encoding.DER)

    def nonce(self):
        return bytes.fromhex(self.client.get("/v1/nonce").json()["nonce"])

    def post(self, path, body, tag, key=None):
        key = key or self.key
        return self.send(path, cose.sign(key, key_id(self.key.public), body, tag, ""))

    def send(self, path, data):
        return self.client.post(path, content=data, headers={"Content-Type": COSE_MEDIA_TYPE})


@pytest.fixture
def hub(tmp_path, desk, identity, clock):
    board = Board(clock)
    board.follow(desk.store, desk.bus)
    return Hub(
        settings=Settings(home=tmp_path, record_interval_ms=1000),
        ports=Ports(page=8080, devices=8443, broker=8883),
        desk=desk,
        identity=identity,
        chain=Chain(),
        proofs=SimpleNamespace(inclusion=lambda device, chain, seq: None),
        commands=Commands(),
        board=board,
        attestation=Challenges(tmp_path / "vendors", clock, identity.entropy),
        broker=("127.0.0.1", 8883),
    )


@pytest.fixture
def devices(hub):
    with TestClient(device_app(hub), base_url="https://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def page(hub):
    with TestClient(page_app(hub), base_url="http://localhost:8080", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def device(devices):
    return Device(devices)


@pytest.fixture
def admin(identity):
    return {"Authorization": f"Bearer {identity.new_admin_secret}"}
