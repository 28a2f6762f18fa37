"""Joining a fleet: a one-time token or a claim code, the hub's signed answer, and its renewal."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from appliance.agent.answer import Enrolment, check_answer, load_enrolment, save_enrolment
from appliance.agent.certificates import CertificateStore, Requested
from appliance.agent.clock import HubClock
from appliance.agent.decommission import Afterwards
from appliance.agent.events import Emit, EventStream
from appliance.agent.files import prepare_home, write_json
from appliance.agent.hub_client import HubAddress, HubClient
from appliance.agent.identity import Identity, open_identity
from appliance.agent.settings import Settings
from appliance.agent.tls import context_for, fetch_ca
from chain.errors import DccnError, Malformed, Refused, Unavailable
from chain.wire import cose
from fleet.protocol.enrolment import (
    CHAIN_BYTES,
    CLAIM_PATH,
    CLAIM_TAG,
    ENROL_PATH,
    ENROL_TAG,
    NO_CHAIN,
    RENEW_PATH,
    RENEW_TAG,
    SECRET_BYTES,
    ClaimRequest,
    EnrolRequest,
    RenewRequest,
    Token,
)

CLAIM_POLL_S = 1.0
RETRY_FIRST_S = 5.0
RETRY_CAP_S = 900.0
ASKED_AGAIN_S = 60.0
CHECK_INTERVAL_S = 60.0


def enrol(
    settings: Settings,
    hub_url: str,
    token: str | None,
    *,
    clock: HubClock | None = None,
    emit: Emit | None = None,
    stop: threading.Event | None = None,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> Enrolment:
    """Make this machine a member of the hub's fleet, and store what the hub answered.

    With a token the hub's CA must be the pinned one before the secret is sent; without one the event `claim_code` shows
    a code, which `claim.json` holds for the console, and this waits until somebody typed it on the hub's page.

    Raises Refused (`ca_mismatch`, `token_invalid`, `claim_invalid`), Unavailable `unreachable`, Malformed for an
    address or token that cannot be read.
    """
    prepare_home(settings.home)
    clock = clock or HubClock(settings.clock_file)
    emit = emit or EventStream(as_json=settings.json, now_ms=clock.now_ms)
    identity = open_identity(settings.identity_file, settings.tpm)
    address = HubAddress.parse(hub_url)
    parsed = Token.parse(token) if token else None
    ca_pem = _trusted_ca(settings, address, parsed)
    client = HubClient(address, context_for(ca_pem), timeout_s=settings.http_timeout_s, now_ms=_known_time(clock))
    try:
        return _Join(settings, identity, client, ca_pem, clock, emit, entropy, stop or threading.Event()).run(parsed)
    finally:
        client.close()


@dataclass(slots=True)
class _Join:
    """One attempt to enrol, from the connection on."""

    settings: Settings
    identity: Identity
    client: HubClient
    ca_pem: str | None
    clock: HubClock
    emit: Emit
    entropy: Callable[[int], bytes]
    stop: threading.Event

    def run(self, token: Token | None) -> Enrolment:
        chain = self.entropy(CHAIN_BYTES)
        requested = Requested.make(self.identity.topic_id)
        if token is not None:
            enrolment = self._ask(requested, chain, secret=token.secret, ticket=None)
        else:
            Afterwards(self.identity, self.client, self.clock, self.emit).confirm()
            enrolment = self._claim(requested, chain)
        self.emit("enrolled", device=self.identity.topic_id, fleet=enrolment.answer.fleet, hub=self.client.address.url)
        return enrolment

    def _ask(self, requested: Requested, chain: bytes, *, secret: bytes | None, ticket: bytes | None) -> Enrolment:
        request = EnrolRequest(self.identity.public, secret, ticket, chain, requested.csr, self.client.nonce())
        answer, asked_ms, answered_ms = _exchange(
            self.client, self.clock, ENROL_PATH, _signed(self.identity, request.body(), ENROL_TAG)
        )
        enrolment = check_answer(
            answer,
            hub_url=self.client.address.url,
            ca_pem=self.ca_pem,
            identity=self.identity,
            requested=requested,
            chain=chain,
            known_root=None,
        )
        _adopt(self.settings, enrolment, requested, self.clock, self.emit, asked_ms, answered_ms)
        return enrolment

    def _claim(self, requested: Requested, chain: bytes) -> Enrolment:
        request = ClaimRequest(self.identity.public, self.client.nonce())
        document = self.client.post_json_answer(
            CLAIM_PATH, _signed(self.identity, request.body(), CLAIM_TAG), "application/cose"
        )
        code, ticket, expires_ms = _claim_of(document)
        minutes = max(1, (expires_ms - self.clock.now_ms()) // 60_000)
        self.emit("claim_code", code=code, expires_ms=expires_ms, minutes=minutes)
        shown = {"code": code, "hub_url": self.client.address.url, "expires_ms": expires_ms}
        write_json(self.settings.claim_file, shown, sync=False)
        try:
            return self._until_claimed(requested, chain, ticket)
        finally:
            self.settings.claim_file.unlink(missing_ok=True)

    def _until_claimed(self, requested: Requested, chain: bytes, ticket: bytes) -> Enrolment:
        while not self.stop.wait(CLAIM_POLL_S):
            try:
                return self._ask(requested, chain, secret=None, ticket=ticket)
            except Refused as refusal:
                if refusal.code != "claim_pending":
                    raise
        raise Unavailable("unreachable", "enrolling was stopped before anybody typed the claim code")


class Renewal:
    """Component: keeps the client certificate fresh, at half life and also after it expired.

    Inputs: the stored enrolment and the identity key. Output: a new certificate, and `renewed` is called.
    """

    name = "renewal"

    def __init__(
        self, settings: Settings, identity: Identity, clock: HubClock, emit: Emit, renewed: Callable[[Enrolment], None]
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._emit = emit
        self._renewed = renewed
        self._wanted = threading.Event()
        self._asked_s = -ASKED_AGAIN_S

    def ask_now(self) -> None:
        """The broker refused our certificate: do not wait for half life. Once a minute at most."""
        now_s = self._clock.monotonic_s()
        if now_s - self._asked_s >= ASKED_AGAIN_S:
            self._asked_s = now_s
            self._wanted.set()

    def wake(self) -> None:
        """Let `run` notice that it should stop."""
        self._wanted.set()

    def run(self, stop: threading.Event) -> None:
        delay_s = RETRY_FIRST_S
        while not stop.is_set():
            if self.is_due() or self._wanted.is_set():
                self._wanted.clear()
                try:
                    self._renewed(self.renew())
                    delay_s = RETRY_FIRST_S
                except DccnError as error:
                    self._emit("renewal_failed", reason=error.message, code=error.code, again_s=delay_s)
                    stop.wait(delay_s)
                    delay_s = min(delay_s * 2, RETRY_CAP_S)
                    self._wanted.set()
                    continue
            self._wanted.wait(CHECK_INTERVAL_S)

    def is_due(self) -> bool:
        """Half of the certificate's life is over, or there is none."""
        validity = CertificateStore(self._settings.tls_folder).validity()
        return validity is None or self._clock.now_ms() >= validity.half_life_ms

    def renew(self) -> Enrolment:
        """Ask the hub now; proof is the identity key's signature, so an expired certificate does not matter."""
        enrolment = load_enrolment(self._settings.enrolment_file)
        if enrolment is None:
            raise Malformed("usage", f"{self._settings.home} is not enrolled: dccn agent run --hub URL")
        client = hub_client_for(enrolment, self._settings, self._clock)
        try:
            requested = Requested.make(self._identity.topic_id)
            request = RenewRequest(self._identity.device, requested.csr, client.nonce())
            answer, asked_ms, answered_ms = _exchange(
                client, self._clock, RENEW_PATH, _signed(self._identity, request.body(), RENEW_TAG)
            )
        finally:
            client.close()
        fresh = check_answer(
            answer,
            hub_url=enrolment.hub_url,
            ca_pem=enrolment.ca_pem,
            identity=self._identity,
            requested=requested,
            chain=enrolment.chain,
            known_root=enrolment,
        )
        _adopt(self._settings, fresh, requested, self._clock, self._emit, asked_ms, answered_ms)
        hours = round((fresh.not_after_ms - fresh.answer.time_ms) / 3_600_000)
        self._emit("certificate_renewed", not_after_ms=fresh.not_after_ms, hours=hours)
        return fresh


def hub_client_for(enrolment: Enrolment, settings: Settings, clock: HubClock) -> HubClient:
    """A connection to the hub of this enrolment, trusting what was pinned then."""
    return HubClient(
        HubAddress.parse(enrolment.hub_url),
        context_for(enrolment.ca_pem),
        timeout_s=settings.http_timeout_s,
        now_ms=_known_time(clock),
    )


def _exchange(client: HubClient, clock: HubClock, path: str, envelope: bytes) -> tuple[bytes, int, int]:
    asked_ms = clock.boot_ms()
    answer = client.post_cose(path, envelope)
    return answer, asked_ms, clock.boot_ms()


def _adopt(
    settings: Settings,
    enrolment: Enrolment,
    requested: Requested,
    clock: HubClock,
    emit: Emit,
    asked_ms: int,
    answered_ms: int,
) -> None:
    """Store a checked answer: the certificate first, since an enrolment without it can still be renewed."""
    if clock.learn(enrolment.answer.time_ms, asked_ms=asked_ms, answered_ms=answered_ms):
        emit("clock_off", offset_s=round(clock.offset_ms / 1000, 1), offset_ms=clock.offset_ms)
    CertificateStore(settings.tls_folder).save(requested, enrolment.answer.certificate)
    save_enrolment(settings.enrolment_file, enrolment)


def _trusted_ca(settings: Settings, address: HubAddress, token: Token | None) -> str | None:
    """The PEM to trust: pinned by the token or the settings, or (None) WebPKI decides."""
    pin = token.pin if token is not None else _pin_of(settings.ca_pin)
    if pin is None and not settings.trust_first_use:
        return None
    return fetch_ca(address.host, address.port, pin, settings.http_timeout_s)


def _pin_of(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        pin = bytes.fromhex(text)
    except ValueError:
        pin = b""
    if len(pin) != SECRET_BYTES:
        raise Malformed("usage", f"a CA pin is 32 hex digits, not {text!r}")
    return pin


def _signed(identity: Identity, body: list[object], tag: str) -> bytes:
    return cose.sign(identity.key, identity.kid, body, tag, NO_CHAIN)


def _known_time(clock: HubClock) -> Callable[[], int | None]:
    return lambda: clock.now_ms() if clock.is_measured else None


def _claim_of(document: dict[str, object]) -> tuple[str, bytes, int]:
    code, ticket, expires_ms = (document.get(name) for name in ("code", "ticket", "expires_ms"))
    if isinstance(code, str) and isinstance(ticket, str) and isinstance(expires_ms, int):
        try:
            return code, bytes.fromhex(ticket), expires_ms
        except ValueError:
            pass
    raise Malformed("malformed", "the hub's claim answer is not {code, ticket in hex, expires_ms}")
