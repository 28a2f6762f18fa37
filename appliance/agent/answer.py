"""The hub's answer to an enrolment: checked from the fleet root to the certificate, then kept as it was signed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.agent.certificates import Requested, check_certificate
from appliance.agent.files import read_json, write_json
from appliance.agent.identity import Identity
from appliance.agent.tls import spki
from chain.crypto.keys import PublicKey
from chain.errors import Faulty, Malformed, Refused
from chain.proofs.receipts import open_start
from chain.wire import cose
from fleet.protocol.enrolment import COMMAND_KEY_TAG, ENROLLED_TAG, NO_CHAIN, Enrolled, command_key_from_body

MAX_ANSWER_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class CommandKey:
    """Whom the fleet root lets command, and until when."""

    public: PublicKey
    not_after_ms: int


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Membership in a fleet: where the hub is, what it answered, the key that may command, and our record chain.

    `ca_pem` None means that WebPKI vouches for the hub's HTTPS; the broker is always checked against `answer.ca`.
    """

    hub_url: str
    ca_pem: str | None
    chain: bytes
    answer: Enrolled
    command_key: CommandKey
    not_after_ms: int
    envelope: bytes

    @property
    def fleet_root(self) -> PublicKey:
        return PublicKey.from_cose(self.answer.fleet_root)

    @property
    def sponsor(self) -> PublicKey:
        return PublicKey.from_cose(self.answer.sponsor)

    @property
    def broker_ca_pem(self) -> str:
        return x509.load_der_x509_certificate(self.answer.ca).public_bytes(Encoding.PEM).decode()


def check_answer(
    envelope: bytes,
    *,
    hub_url: str,
    ca_pem: str | None,
    identity: Identity,
    requested: Requested,
    chain: bytes,
    known_root: Enrolment | None,
) -> Enrolment:
    """Read the answer and verify fleet root -> command key -> answer -> certificate.

    At the first enrolment the fleet root is taken on the word of the pinned TLS connection; later it must be the same
    (`known_root`), so that a hub's new owner cannot take the fleet along. Refused `bad_signature`, `ca_mismatch`,
    `command_invalid`.
    """
    opened = cose.open_envelope(envelope, MAX_ANSWER_BYTES)
    answer = Enrolled.from_body(opened.body)
    root = PublicKey.from_cose(answer.fleet_root)
    if known_root is not None and (root != known_root.fleet_root or answer.fleet != known_root.answer.fleet):
        raise Refused("command_invalid", f"the hub answers for another fleet root than at enrolment ({answer.fleet})")
    command_key = _command_key(answer, root)
    if not opened.verify(command_key.public, ENROLLED_TAG, NO_CHAIN):
        raise Refused("bad_signature", "the hub's enrolment answer is not signed by its command key")
    _check_ca(answer, ca_pem, known_root)
    _check_start(answer, command_key, identity, None if known_root is not None else chain)
    validity = check_certificate(answer.certificate, answer.ca, requested, identity.topic_id)
    return Enrolment(hub_url, ca_pem, chain, answer, command_key, validity.not_after_ms, envelope)


def save_enrolment(path: Path, enrolment: Enrolment) -> None:
    """Keep the answer as the hub signed it, and beside it what people look for."""
    answer = enrolment.answer
    write_json(
        path,
        {
            "hub_url": enrolment.hub_url,
            "fleet": answer.fleet,
            "chain_id": answer.chain_id,
            "broker": f"{answer.broker_host}:{answer.broker_port}",
            "not_after_ms": enrolment.not_after_ms,
            "chain": enrolment.chain.hex(),
            "ca_pem": enrolment.ca_pem,
            "answer": enrolment.envelope.hex(),
        },
    )


def load_enrolment(path: Path) -> Enrolment | None:
    """The stored enrolment, None when there is none; Faulty `home_invalid` when the file is damaged."""
    if not path.exists():
        return None
    document = read_json(path)
    try:
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        envelope = bytes.fromhex(document["answer"])
        answer = Enrolled.from_body(cose.open_envelope(envelope, MAX_ANSWER_BYTES).body)
        command_key = _command_key(answer, PublicKey.from_cose(answer.fleet_root))
        chain = bytes.fromhex(document["chain"])
        return Enrolment(
            document["hub_url"], document["ca_pem"], chain, answer, command_key, int(document["not_after_ms"]), envelope
        )
    except (KeyError, TypeError, ValueError, Malformed, Refused) as error:
        raise Faulty("home_invalid", f"the enrolment in {path} is damaged ({error}); enrol again") from error


def _command_key(answer: Enrolled, root: PublicKey) -> CommandKey:
    certificate = cose.open_envelope(answer.command_certificate, MAX_ANSWER_BYTES)
    if not certificate.verify(root, COMMAND_KEY_TAG, NO_CHAIN):
        raise Refused("bad_signature", "the command key is not certified by the fleet root")
    fleet, public, not_after_ms = command_key_from_body(certificate.body)
    if fleet != answer.fleet:
        raise Refused("command_invalid", f"the command key is for fleet {fleet!r}, not {answer.fleet!r}")
    if not_after_ms < answer.time_ms:
        raise Refused("command_invalid", "the command key's certificate has expired")
    return CommandKey(public, not_after_ms)


def _check_start(answer: Enrolled, command_key: CommandKey, identity: Identity, chain: bytes | None) -> None:
    """A renewal (`chain` None) repeats the start of the chain that the hub thinks newest."""
    start = open_start(answer.start, command_key.public, answer.chain_id)
    if start.device != identity.device or chain not in (None, start.chain):
        raise Refused("record_foreign", "the hub countersigned the start of another device's or another record chain")


def _check_ca(answer: Enrolled, ca_pem: str | None, known: Enrolment | None) -> None:
    """The CA that issues certificates is the one that was pinned, and it stays the same."""
    try:
        ca = x509.load_der_x509_certificate(answer.ca)
    except ValueError as error:
        raise Refused("ca_mismatch", f"the hub's CA certificate does not parse: {error}") from error
    if ca_pem is not None and spki(x509.load_pem_x509_certificate(ca_pem.encode())) != spki(ca):
        raise Refused("ca_mismatch", "the hub's answer names another CA than its HTTPS connection")
    if known is not None and spki(x509.load_der_x509_certificate(known.answer.ca)) != spki(ca):
        raise Refused("ca_mismatch", "the hub's CA has changed since enrolment: enrol again with a new token")
