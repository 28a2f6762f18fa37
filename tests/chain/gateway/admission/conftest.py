"""A gateway with a TLS listener and a clock that the test moves, and devices with certificates of a real hub's CA."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chain.crypto.address import device_id
from chain.crypto.keys import PrivateKey
from chain.gateway.admission.front import Front
from chain.gateway.admission.gate import Gate
from chain.gateway.admission.policy import Policy
from chain.gateway.application import gateway_app
from chain.gateway.chain import Chain
from chain.gateway.context import Gateway
from chain.gateway.relay import Relay
from chain.gateway.server import web_server
from chain.gateway.tls import TlsFiles
from chain.web.listening import bind
from fleet.hub.identity.authority import Authority
from tests.chain.gateway.admission.clock import Clock
from tests.chain.gateway.conftest import past
from tests.chain.node.conftest import NodeUnderTest, node

__all__ = ["node", "past"]

STRICT = Policy(unregistered_per_minute=30, registered_per_minute=300, ban_score=20, ban_s=600, half_life_s=60)


def now_ms() -> int:
    return time.time_ns() // 10**6


@dataclass
class Door:
    """The listeners of a running gateway, its home, its clock, and the CA whose certificates count."""

    url: str
    tls_url: str
    home: Path
    clock: Clock
    authority: Authority
    folder: Path

    def context(self, certificate: Path | None = None) -> ssl.SSLContext:
        """What a client believes and shows."""
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    def visitor(self, certificate: Path | None = None, *, outside: str = "127.0.0.1") -> Visitor:
        """Whoever connects from and to the address `outside` of this machine, which is not loopback."""
        context = self.context(certificate)
        pool = urllib3.PoolManager(retries=False, timeout=30, ssl_context=context, assert_hostname="127.0.0.1")
        return Visitor(self.tls_url.replace("127.0.0.1", outside), pool)

    def device(self, key: PrivateKey, *, at_ms: int | None = None, authority: Authority | None = None) -> Path:
        """A certificate for the device with its private key, in one file."""
        tls = ec.generate_private_key(ec.SECP256R1())
        csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(tls, hashes.SHA256())
        der = csr.public_bytes(Encoding.DER)
        issued = (authority or self.authority).issue_device(der, device_id(key.public), at_ms or now_ms())
        secret = tls.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self.folder / f"{len(list(self.folder.iterdir()))}.pem"
        path.write_bytes(secret + x509.load_der_x509_certificate(issued.certificate).public_bytes(Encoding.PEM))
        return path


@dataclass(frozen=True)
class Visitor:
    """Somebody at the TLS listener."""

    url: str
    pool: urllib3.PoolManager

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        return self.pool.request("GET", self.url + path)

    def post(self, path: str, document: Any) -> urllib3.BaseHTTPResponse:
        return self.pool.request("POST", self.url + path, json=document)

    def code(self, path: str) -> str:
        """Of a refusal; empty for an answer."""
        answer = self.get(path)
        return "" if answer.status == 200 else str(answer.json()["code"])


@pytest.fixture
def door(node: NodeUnderTest, tmp_path: Path) -> Iterator[Door]:
    """Both listeners as `dccn gateway run` has them, with a policy that the test can exhaust."""
    authority = Authority.open(tmp_path / "hub", "home", now_ms())
    key, certificate = authority.issue_pair("gateway", ["127.0.0.1"], now_ms())
    files = TlsFiles(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "ca.pem")
    for path, data in zip(
        (files.certificate, files.key, files.authority), (certificate, key, authority.pem), strict=True
    ):
        path.write_bytes(data)
    clock, home, clients = Clock(), tmp_path / "home", tmp_path / "clients"
    home.mkdir()
    clients.mkdir()
    with ExitStack() as rim:
        chain, relay = Chain(node.url), Relay(node.url)
        rim.callback(chain.close)
        rim.callback(relay.close)
        app = Front(gateway_app(Gateway(chain, relay, None)), Gate(chain, home, STRICT, clock, clock))
        sockets = [rim.enter_context(bind("0.0.0.0", 0, may_move=True)) for _ in range(2)]
        rim.enter_context(served(app, sockets, files))
        ports = [bound.getsockname()[1] for bound in sockets]
        yield Door(
            f"http://127.0.0.1:{ports[0]}",
            f"https://127.0.0.1:{ports[1]}",
            home,
            clock,
            authority,
            clients,
        )


class served:  # noqa: N801
    """Both servers in a thread, until the block ends."""

    def __init__(self, app: Front, sockets: list[socket.socket], files: TlsFiles) -> None:
        self._servers = [web_server(app, None), web_server(app, files.context())]
        self._sockets = sockets
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._up = threading.Event()

    async def _run(self) -> None:
        runs = [each.serve(sockets=[bound]) for each, bound in zip(self._servers, self._sockets, strict=True)]
        tasks = [asyncio.create_task(run) for run in runs]
        for server in self._servers:
            await server.up.wait()
        self._up.set()
        await asyncio.gather(*tasks)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._up.wait(30)

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()
