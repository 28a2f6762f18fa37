"""A hub in a hundred lines for tests of the agent: HTTPS enrolment and an MQTT client that accepts records.

Its CA, keys and broker configuration are the product's; nothing here is kept, batched or put on a chain.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from chain.crypto.address import device_id
from chain.crypto.keys import PublicKey
from chain.errors import DccnError, Refused
from chain.proofs.receipts import Start, sign_start
from chain.wire import cose
from fleet.hub.identity.membership import Identity as HubIdentity
from fleet.hub.identity.membership import check_request, open_request
from fleet.protocol.enrolment import (
    ENROL_TAG,
    RENEW_TAG,
    ClaimRequest,
    Enrolled,
    EnrolRequest,
    RenewRequest,
    Token,
    ca_pin,
)

CHAIN_ID = "small-1"


@dataclass
class SmallHub:
    """HTTPS on a free port of 127.0.0.1. Tests turn the knobs between requests."""

    folder: Path
    offset_ms: int = 0
    broker_port: int = 1
    claim_approved: bool = False
    claims_expire: int = 0  # how many more
    certificate_for: bytes | None = None
    root_of_answers: Any = None
    documents: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    wipes: list[bytes] = field(default_factory=list)
    secrets_seen: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.identity = HubIdentity.open(self.folder, "home", self.now_ms)
        self.keys = self.identity.keys
        self.token = Token(ca_pin(self.identity.authority.spki), b"s" * 16)
        self.devices: dict[bytes, tuple[PublicKey, bytes]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        key, certificate = self.identity.authority.issue_pair("hub", ["127.0.0.1"], self.now_ms())
        (self.folder / "server.pem").write_bytes(certificate + self.identity.authority.pem + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset_ms

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, device: bytes, chain: bytes, csr: bytes) -> bytes:
        name = self.certificate_for or device
        root = self.root_of_answers or self.keys.fleet_root
        answer = Enrolled(
            certificate=self.identity.authority.issue_device(csr, name, self.now_ms()).certificate,
            ca=self.identity.authority.der,
            broker_host="127.0.0.1",
            broker_port=self.broker_port,
            fleet="home",
            fleet_root=root.public.cose(),
            command_certificate=self.identity.command_certificate,
            chain_id=CHAIN_ID,
            genesis_hash=b"g" * 32,
            trusted_height=1,
            trusted_hash=b"t" * 32,
            rpc=["http://127.0.0.1:1"],
            time_ms=self.now_ms(),
            start=sign_start(Start(device, chain, None, None, self.now_ms()), self.keys.command, CHAIN_ID),
            sponsor=self.keys.account.public.cose(),
            transaction_fee=5 * 10**18,
            record_interval_ms=100,
            pog_profile="test",
        )
        return self.identity.sign_answer(answer)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        if path == "/v1/nonce":
            return 200, {"nonce": self.identity.nonces.issue().hex(), "time_ms": self.now_ms()}
        return self.documents.get(path, (404, {"code": "record_pending", "detail": "not yet"}))

    def post(self, path: str, body: bytes) -> bytes:
        if path == "/v1/registrations":
            return json.dumps({"hash": "00" * 32}).encode()
        if path == "/v1/wipes":
            self.wipes.append(body)
            return b""
        envelope = open_request(body)
        if path == "/v1/enrol":
            return self._enrol(EnrolRequest.from_body(envelope.body), envelope)
        if path == "/v1/renew":
            return self._renew(RenewRequest.from_body(envelope.body), envelope)
        claim = ClaimRequest.from_body(envelope.body)
        check_request(envelope, claim.identity, ENROL_TAG)
        return json.dumps({"code": "ABCD-EFGH", "ticket": "ee" * 16, "expires_ms": self.now_ms() + 900_000}).encode()

    def _enrol(self, request: EnrolRequest, envelope: cose.Envelope) -> bytes:
        check_request(envelope, request.identity, ENROL_TAG)
        self.identity.nonces.use(request.nonce)
        if request.token_secret is not None:
            self.secrets_seen.append(request.token_secret)
            if request.token_secret != self.token.secret:
                raise Refused("token_invalid", "this hub made no such token")
        elif self.claims_expire:
            self.claims_expire -= 1
            raise Refused("claim_invalid", "the code has expired")
        elif not self.claim_approved:
            raise Refused("claim_pending", "nobody has typed the code yet")
        device = device_id(request.identity)
        self.devices[device] = (request.identity, request.chain)
        return self.answer(device, request.chain, request.csr)

    def _renew(self, request: RenewRequest, envelope: cose.Envelope) -> bytes:
        public, chain = self.devices[request.device]
        check_request(envelope, public, RENEW_TAG)
        self.identity.nonces.use(request.nonce)
        return self.answer(request.device, chain, request.csr)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.seen.append(self.path)
                status, document = hub.get(self.path)
                self._send(status, json.dumps(document).encode())

            def do_POST(self) -> None:
                hub.seen.append(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    self._send(200, hub.post(self.path, body))
                except DccnError as error:
                    self._send(409, json.dumps({"code": error.code, "detail": error.message}).encode())

            def _send(self, status: int, data: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments: object) -> None:
                pass

        return Handler
