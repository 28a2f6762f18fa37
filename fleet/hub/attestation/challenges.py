"""Open challenges: one per device, for a few minutes, each good for one answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from chain.crypto.keys import PublicKey
from chain.errors import Refused
from fleet.hub.attestation.credential import make_credential
from fleet.hub.attestation.manufacturers import manufacturer
from fleet.hub.attestation.public_area import PublicArea, attestation_key, endorsement_key
from fleet.protocol.attestation import CHALLENGE_BYTES, DIGEST_BYTES, NONCE_BYTES, Begin, Challenge

LIFETIME_MS: Final = 5 * 60_000
OPEN_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Opened:
    """What the hub remembers of a challenge; `endorsement` is the endorsement key's name, `secret` what it hid."""

    device: bytes
    endorsement: bytes
    manufacturer: str | None
    key: PublicKey
    secret: bytes
    nonce: bytes
    expires_ms: int


class Challenges:
    """In memory: after the hub's restart a device asks again. `vendors` is the folder of TPM vendors' certificates."""

    def __init__(self, vendors: Path, now_ms: Callable[[], int], entropy: Callable[[int], bytes]) -> None:
        self._vendors = vendors
        self._now_ms = now_ms
        self._entropy = entropy
        self._open: OrderedDict[bytes, tuple[bytes, Opened]] = OrderedDict()
        self._lock = Lock()

    def begin(self, request: Begin) -> Challenge:
        """A challenge to the TPM that holds both keys; the device's older one is void.

        Raises Malformed and Refused `attestation_invalid` for keys that a TPM would not have made this way.
        """
        area = endorsement_key(request.endorsement)
        key, name = attestation_key(request.attestation_key), PublicArea.parse(request.attestation_key).name
        now_ms = self._now_ms()
        maker = manufacturer(request.certificate, area, self._vendors, now_ms) if request.certificate else None
        secret, nonce = self._entropy(DIGEST_BYTES), self._entropy(NONCE_BYTES)
        challenge = self._entropy(CHALLENGE_BYTES)
        credential, encrypted_secret = make_credential(area, name, secret, self._entropy)
        opened = Opened(request.device, area.name, maker, key, secret, nonce, now_ms + LIFETIME_MS)
        with self._lock:
            self._open.pop(request.device, None)
            self._open[request.device] = (challenge, opened)
            while len(self._open) > OPEN_MAX:
                self._open.popitem(last=False)
        return Challenge(challenge, credential, encrypted_secret, nonce)

    def take(self, device: bytes, challenge: bytes) -> Opened:
        """The device's open challenge, which is then closed. Raises Refused `attestation_invalid`."""
        with self._lock:
            asked, opened = self._open.get(device, (b"", None))
            if opened is None or asked != challenge:
                raise Refused(
                    "attestation_invalid", "no such challenge is open: it was answered, replaced or never made"
                )
            del self._open[device]
        if self._now_ms() > opened.expires_ms:
            raise Refused("attestation_invalid", "the challenge was open for five minutes only")
        return opened
