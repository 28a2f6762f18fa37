"""Component: proves to the hub, at every start and twice a day, that this TPM booted an image that the hub knows."""

from __future__ import annotations

import threading
from collections.abc import Callable

from appliance.agent.events import Emit
from appliance.agent.hub_client import HubClient
from appliance.agent.identity import Identity
from appliance.agent.recorder import RecordKey
from appliance.agent.tpm.attestation_key import AttestationKey
from appliance.agent.tpm.identity_key import TpmIdentityKey
from appliance.agent.tpm.measured_boot import event_log, pcr_digest
from chain.crypto.keys import PublicKey
from chain.errors import DccnError, Refused
from chain.wire import cose
from fleet.protocol.attestation import (
    ATTESTATION_ANSWER_TAG,
    ATTESTATION_TAG,
    BEGIN_PATH,
    MAX_ATTESTATION_BYTES,
    PROVE_PATH,
    Attested,
    Begin,
    Challenge,
    Proof,
    quote_nonce,
)
from fleet.protocol.enrolment import NO_CHAIN

AGAIN_S = 12 * 3600.0
RETRY_FIRST_S = 30.0
RETRY_CAP_S = 3600.0
QUOTED_LEVEL = 3


def attestation_of(
    identity: Identity,
    hub: HubClient,
    command_key: Callable[[], PublicKey],
    emit: Emit,
    note_level: Callable[[int], None],
    record_key: RecordKey,
) -> list[Attestation]:
    """The component where a TPM holds the identity, else none."""
    if identity.tpm_key is None:
        return []

    def judged(attested: Attested | None) -> None:
        note_level(QUOTED_LEVEL if attested is not None else identity.evidence_level)

    attestation = Attestation(
        identity, identity.tpm_key, hub, command_key, emit, judged, lambda: record_key.now().public.x
    )
    record_key.on_new(attestation.wake)
    return [attestation]


def booted(identity: Identity, emit: Emit) -> bytes | None:
    """What this machine booted, for the certificates of record keys; None without a TPM, or with one that fails."""
    if identity.tpm_key is None:
        return None
    try:
        return pcr_digest(identity.tpm_key.tpm)
    except DccnError as error:
        emit("attestation_failed", reason=error.message, code=error.code, again_s=0)
        return None


class Attestation:
    """Inputs: the identity in the TPM, the event log, the boot's record key, which each quote vouches for. Outputs: the
    hub's judgement, told to `judged` and as events.
    """

    name = "attestation"

    def __init__(
        self,
        identity: Identity,
        key: TpmIdentityKey,
        hub: HubClient,
        command_key: Callable[[], PublicKey],
        emit: Emit,
        judged: Callable[[Attested | None], None],
        record_public: Callable[[], bytes],
        log: Callable[[], bytes] = event_log,
    ) -> None:
        self._identity = identity
        self._key = key
        self._hub = hub
        self._command_key = command_key
        self._emit = emit
        self._judged = judged
        self._record_public = record_public
        self._vouched = b""
        self._wanted = threading.Event()
        self._log = log

    def wake(self) -> None:
        """There is a new record key to vouch for, or an end."""
        self._wanted.set()

    def run(self, stop: threading.Event) -> None:
        delay_s = RETRY_FIRST_S
        while not stop.is_set():
            try:
                attested = self.attest()
            except DccnError as error:
                self._emit("attestation_failed", reason=error.message, code=error.code, again_s=delay_s)
                if isinstance(error, Refused):
                    self._judged(None)
                stop.wait(delay_s)
                delay_s = min(delay_s * 2, RETRY_CAP_S)
                continue
            self._judged(attested)
            maker = attested.manufacturer or "an unproven manufacturer"
            self._emit("attested", image=attested.image, manufacturer=maker, secure_boot=attested.secure_boot)
            delay_s = RETRY_FIRST_S
            self._rest(stop)

    def attest(self) -> Attested:
        """One exchange with the hub. Raises Refused with the hub's reason, Unavailable, Faulty `tpm_failed`."""
        device, key = self._identity.device, AttestationKey(self._key.tpm)
        begin = Begin(device, key.endorsement, key.certificate, key.public, self._hub.nonce())
        challenge = Challenge.from_body(self._ask(BEGIN_PATH, begin.body()))
        secret = key.activate(challenge)
        certification, certification_signature = key.certify(self._key)
        record_public = self._record_public()
        quote = key.quote(quote_nonce(challenge.nonce, record_public))
        proof = Proof(
            device=device,
            challenge=challenge.challenge,
            secret=secret,
            record_public=record_public,
            identity=self._key.public_area(),
            certification=certification,
            certification_signature=certification_signature,
            quote=quote.statement,
            quote_signature=quote.signature,
            pcrs=quote.pcrs,
            event_log=self._log(),
        )
        attested = Attested.from_body(self._ask(PROVE_PATH, proof.body()))
        self._vouched = record_public
        return attested

    def _rest(self, stop: threading.Event) -> None:
        """Until a new record key needs a quote, or the last quote is half a day old."""
        while self._wanted.wait(AGAIN_S) and not stop.is_set() and self._record_public() == self._vouched:
            self._wanted.clear()

    def _ask(self, path: str, body: list[object]) -> object:
        """The hub's answer to a signed request. Refused `bad_signature` unless its command key signed it."""
        signed = cose.sign(self._identity.key, self._identity.kid, body, ATTESTATION_TAG, NO_CHAIN)
        answer = cose.open_envelope(self._hub.post_cose(path, signed), MAX_ATTESTATION_BYTES)
        if not answer.verify(self._command_key(), ATTESTATION_ANSWER_TAG, NO_CHAIN):
            raise Refused("bad_signature", f"the hub's command key did not sign the answer to {path}")
        return answer.body
