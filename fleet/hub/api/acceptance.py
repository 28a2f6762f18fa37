"""The HTTPS API by which a machine brings the signed report of its hardware tests."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, post
from litestar.datastructures import State

from chain.crypto.keys import PublicKey
from chain.wire import cbor, cose
from fleet.hub.actions.acceptances import do_note_acceptance
from fleet.hub.actions.enrolment import identity_of
from fleet.hub.api.context import Hub
from fleet.hub.identity.membership import check_request
from fleet.protocol.acceptance import ACCEPTANCE_PATH, ACCEPTANCE_TAG, MAX_REPORT_BYTES, Acceptance

AnyRequest = Request[Any, Any, State]


class AcceptanceNoted(msgspec.Struct, frozen=True):
    """How the hub read it."""

    is_passed: bool
    passed: int
    failed: int
    skipped: int


@post(
    ACCEPTANCE_PATH,
    status_code=200,
    tags=["acceptance"],
    summary="Bring the report of the hardware tests",
    request_max_body_size=MAX_REPORT_BYTES,
)
async def accept(request: AnyRequest) -> AcceptanceNoted:
    """Body: COSE_Sign1 (dccn/acceptance/v1) over `acc1` by the identity key of an enrolled device."""
    hub: Hub = request.app.state.hub
    raw = await request.body()
    envelope = cose.open_envelope(raw, MAX_REPORT_BYTES)
    report = Acceptance.from_body(envelope.body)

    def work() -> AcceptanceNoted:
        with hub.desk.store.read() as connection:
            identity = PublicKey.from_cose(cbor.decode(identity_of(connection, report.device)))
        check_request(envelope, identity, ACCEPTANCE_TAG)
        hub.identity.nonces.use(report.nonce)
        do_note_acceptance(hub.desk, report, raw)
        return AcceptanceNoted(report.is_passed, **report.counts)

    return await asyncio.to_thread(work)
