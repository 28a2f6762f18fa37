"""The HTTPS API by which a machine proves its TPM and its boot; see `fleet.protocol.attestation`."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, post
from litestar.datastructures import State

from chain.crypto.keys import PublicKey
from chain.wire import cbor, cose
from fleet.hub.actions.attestation import do_attest
from fleet.hub.actions.enrolment import identity_of
from fleet.hub.api.context import Hub
from fleet.hub.identity.membership import check_request
from fleet.protocol.attestation import (
    ATTESTATION_ANSWER_TAG,
    ATTESTATION_TAG,
    BEGIN_PATH,
    MAX_ATTESTATION_BYTES,
    PROVE_PATH,
    Begin,
    Proof,
)
from fleet.protocol.enrolment import COSE_MEDIA_TYPE
from fleet.protocol.limits import MAX_ENROLMENT_BYTES

AnyRequest = Request[Any, Any, State]


@post(BEGIN_PATH, status_code=200, tags=["attestation"], summary="Ask for a challenge to this machine's TPM")
async def begin(request: AnyRequest) -> Response[bytes]:
    """Body: COSE_Sign1 (dccn/attestation/v1) over `atb1`. Answer: COSE_Sign1 (dccn/attested/v1) over `atc1`."""
    hub: Hub = request.app.state.hub
    envelope = cose.open_envelope(await request.body(), MAX_ENROLMENT_BYTES)
    body = Begin.from_body(envelope.body)

    def work() -> bytes:
        _check(hub, envelope, body.device)
        hub.identity.nonces.use(body.nonce)
        return hub.identity.sign(hub.attestation.begin(body).body(), ATTESTATION_ANSWER_TAG)

    return Response(await asyncio.to_thread(work), media_type=COSE_MEDIA_TYPE)


@post(
    PROVE_PATH,
    status_code=200,
    tags=["attestation"],
    summary="Answer the challenge with a quote",
    request_max_body_size=MAX_ATTESTATION_BYTES,
)
async def prove(request: AnyRequest) -> Response[bytes]:
    """Body: COSE_Sign1 (dccn/attestation/v1) over `atp1`. Answer: COSE_Sign1 (dccn/attested/v1) over `ats1`."""
    hub: Hub = request.app.state.hub
    envelope = cose.open_envelope(await request.body(), MAX_ATTESTATION_BYTES)
    proof = Proof.from_body(envelope.body)

    def work() -> bytes:
        _check(hub, envelope, proof.device)
        opened = hub.attestation.take(proof.device, proof.challenge)
        attested = do_attest(hub.desk, hub.settings, opened, proof)
        return hub.identity.sign(attested.body(), ATTESTATION_ANSWER_TAG)

    return Response(await asyncio.to_thread(work), media_type=COSE_MEDIA_TYPE)


def _check(hub: Hub, envelope: cose.Envelope, device: bytes) -> None:
    with hub.desk.store.read() as connection:
        key = PublicKey.from_cose(cbor.decode(identity_of(connection, device)))
    check_request(envelope, key, ATTESTATION_TAG)
