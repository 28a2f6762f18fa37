"""How a device joins: the bodies that it signs over HTTPS, the token that it is given, and the hub's answer.

Requests are COSE_Sign1 by the identity key; the answer is COSE_Sign1 by the hub's command key, which a fleet root key
certifies. No chain id is known yet, so the external data of all of them is canonical CBOR `[tag, ""]`.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, fields
from typing import Any, Final

from chain.crypto.keys import PublicKey
from chain.errors import Malformed, Refused

ENROL_TAG: Final = "dccn/enrol/v1"
RENEW_TAG: Final = "dccn/renew/v1"
CLAIM_TAG: Final = ENROL_TAG
ENROLLED_TAG: Final = "dccn/enrolled/v1"
COMMAND_KEY_TAG: Final = "dccn/command-key/v1"
NO_CHAIN: Final = ""

NONCE_PATH: Final = "/v1/nonce"
ENROL_PATH: Final = "/v1/enrol"
CLAIM_PATH: Final = "/v1/claims/begin"
RENEW_PATH: Final = "/v1/renew"
REGISTRATION_PATH: Final = "/v1/registrations"
INCLUSION_PATH: Final = "/v1/inclusion"
COSE_MEDIA_TYPE: Final = "application/cose"

PIN_BYTES: Final = 16
SECRET_BYTES: Final = 16
NONCE_BYTES: Final = 16
CHAIN_BYTES: Final = 16
MAX_CSR_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Token:
    """An enrolment token: `pin` is SHA-256(SPKI of the hub's CA)[:16], `secret` 16 random bytes that work once."""

    pin: bytes
    secret: bytes

    @property
    def text(self) -> str:
        """52 characters of base32, in groups that can be read aloud: `ABCD-EFGH-…`."""
        plain = base64.b32encode(self.pin + self.secret).decode().rstrip("=")
        return "-".join(plain[i : i + 4] for i in range(0, len(plain), 4))

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token as typed or pasted: case, dashes and spaces do not matter. Raises Malformed."""
        plain = "".join(text.split()).replace("-", "").upper()
        try:
            data = base64.b32decode(plain + "=" * (-len(plain) % 8))
        except ValueError:
            data = b""
        if len(data) != PIN_BYTES + SECRET_BYTES:
            raise Malformed("malformed", "the enrolment token is not 52 characters of base32; copy the whole line")
        return cls(data[:PIN_BYTES], data[PIN_BYTES:])

    def check_ca(self, spki_der: bytes) -> None:
        """Raises Refused(ca_mismatch) unless this CA's public key is the pinned one."""
        if ca_pin(spki_der) != self.pin:
            found = ca_pin(spki_der).hex()
            raise Refused("ca_mismatch", f"the hub's CA has pin {found}, the token says {self.pin.hex()}")


def ca_pin(spki_der: bytes) -> bytes:
    """16 bytes that name a CA by its DER SubjectPublicKeyInfo."""
    return hashlib.sha256(spki_der).digest()[:PIN_BYTES]


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """POST /v1/enrol: with a token's secret or with a claim's ticket, never both. `csr` is PKCS#10 in DER."""

    identity: PublicKey
    token_secret: bytes | None
    ticket: bytes | None
    chain: bytes
    csr: bytes
    nonce: bytes

    def body(self) -> list[Any]:
        return ["enr1", self.identity.cose(), self.token_secret, self.ticket, self.chain, self.csr, self.nonce]

    @classmethod
    def from_body(cls, body: object) -> EnrolRequest:
        """Raises Malformed."""
        identity, secret, ticket, chain, csr, nonce = _items(body, "enr1", 6)
        if (secret is None) == (ticket is None):
            raise Malformed("malformed", "enr1 needs a token's secret or a claim's ticket, and exactly one of them")
        if secret is not None:
            _bytes(secret, "enr1 token secret", SECRET_BYTES)
        else:
            _bytes(ticket, "enr1 claim ticket", SECRET_BYTES)
        return cls(
            identity=PublicKey.from_cose(identity),
            token_secret=secret,
            ticket=ticket,
            chain=_bytes(chain, "enr1 record chain", CHAIN_BYTES),
            csr=_csr(csr),
            nonce=_bytes(nonce, "enr1 nonce", NONCE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """POST /v1/claims/begin: a device without a token asks for a code that a person will type on the hub's page."""

    identity: PublicKey
    nonce: bytes

    def body(self) -> list[Any]:
        return ["clm1", self.identity.cose(), self.nonce]

    @classmethod
    def from_body(cls, body: object) -> ClaimRequest:
        """Raises Malformed."""
        identity, nonce = _items(body, "clm1", 2)
        return cls(PublicKey.from_cose(identity), _bytes(nonce, "clm1 nonce", NONCE_BYTES))


@dataclass(frozen=True, slots=True)
class RenewRequest:
    """POST /v1/renew: a new certificate for a known device (32-byte id), also after the old one expired."""

    device: bytes
    csr: bytes
    nonce: bytes

    def body(self) -> list[Any]:
        return ["ren1", self.device, self.csr, self.nonce]

    @classmethod
    def from_body(cls, body: object) -> RenewRequest:
        """Raises Malformed."""
        device, csr, nonce = _items(body, "ren1", 3)
        return cls(_bytes(device, "ren1 device", 32), _csr(csr), _bytes(nonce, "ren1 nonce", NONCE_BYTES))


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The hub's signed answer: everything that a device needs to connect, to check the chain, and to set its clock.

    `certificate` and `ca` are DER, `fleet_root` and `sponsor` COSE_Keys as maps, `command_certificate` is a COSE_Sign1
    by the fleet root over `["cmdkey1", fleet, command COSE_Key, not_after_ms]`, `start` a COSE_Sign1 `start1` by the
    command key. `transaction_fee` is in 10^-18 ANKR.
    """

    certificate: bytes
    ca: bytes
    broker_host: str
    broker_port: int
    fleet: str
    fleet_root: dict[int, int | bytes]
    command_certificate: bytes
    chain_id: str
    genesis_hash: bytes
    trusted_height: int
    trusted_hash: bytes
    rpc: list[str]
    time_ms: int
    start: bytes
    sponsor: dict[int, int | bytes]
    transaction_fee: int
    record_interval_ms: int
    pog_profile: str

    def body(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_body(cls, body: object) -> Enrolled:
        """Raises Malformed. Keys that this version does not know are ignored."""
        if not isinstance(body, dict):
            raise Malformed("malformed", "the hub's enrolment answer is not a map")
        values: dict[str, Any] = {}
        for item in fields(cls):
            value = body.get(item.name)
            kind = _ANSWER_KINDS[str(item.type).partition("[")[0]]
            if not isinstance(value, kind) or isinstance(value, bool):
                raise Malformed("malformed", f"the hub's enrolment answer has no proper {item.name!r}")
            values[item.name] = value
        if not all(isinstance(url, str) for url in values["rpc"]):
            raise Malformed("malformed", "the hub's enrolment answer has RPC addresses that are no text")
        PublicKey.from_cose(values["fleet_root"])
        PublicKey.from_cose(values["sponsor"])
        return cls(**values)


_ANSWER_KINDS: Final[dict[str, type]] = {"bytes": bytes, "str": str, "int": int, "dict": dict, "list": list}


def command_key_body(fleet: str, command: PublicKey, not_after_ms: int) -> list[Any]:
    """What the fleet root signs (tag `dccn/command-key/v1`): this key may command this fleet until then."""
    return ["cmdkey1", fleet, command.cose(), not_after_ms]


def command_key_from_body(body: object) -> tuple[str, PublicKey, int]:
    """(fleet, command key, not_after_ms). Raises Malformed."""
    fleet, command, not_after_ms = _items(body, "cmdkey1", 3)
    if not isinstance(fleet, str) or not isinstance(not_after_ms, int) or isinstance(not_after_ms, bool):
        raise Malformed("malformed", "cmdkey1 is not [fleet, COSE_Key, milliseconds]")
    return fleet, PublicKey.from_cose(command), not_after_ms


def _items(body: object, tag: str, count: int) -> list[Any]:
    if not isinstance(body, list) or len(body) != count + 1 or body[0] != tag:
        raise Malformed("malformed", f"the body is not {tag} with {count} fields")
    return body[1:]


def _bytes(value: object, what: str, length: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != length:
        raise Malformed("malformed", f"{what} is not {length} bytes")
    return value


def _csr(value: object) -> bytes:
    if not isinstance(value, bytes) or not 0 < len(value) <= MAX_CSR_BYTES:
        raise Malformed("malformed", f"the certificate request is not 1 to {MAX_CSR_BYTES} bytes of DER")
    return value
