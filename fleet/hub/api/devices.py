"""The HTTPS API for devices: nonce, enrolment, claims, renewal, registration, inclusion.

Bodies are COSE_Sign1 by the device's identity key, so that the TLS connection needs no client certificate: a device
that was off for a week has an expired one.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import Parameter

from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.proofs.receipts import sign_start
from chain.web.problems import HANDLERS
from chain.wire import cbor
from fleet.hub.actions.decommission import do_note_wipe
from fleet.hub.actions.enrolment import Member, do_begin_claim, do_enrol, do_renew, identity_of
from fleet.hub.actions.registrations import do_sponsor_registration
from fleet.hub.api.acceptance import accept
from fleet.hub.api.attestation import begin, prove
from fleet.hub.api.context import Hub
from fleet.hub.api.releases import release_file
from fleet.hub.api.security import add_headers
from fleet.hub.identity.membership import check_request, open_request
from fleet.hub.ports import ChainTrust
from fleet.protocol.decommission import WIPE_PATH
from fleet.protocol.enrolment import (
    CLAIM_PATH,
    CLAIM_TAG,
    COSE_MEDIA_TYPE,
    ENROL_PATH,
    ENROL_TAG,
    INCLUSION_PATH,
    NONCE_PATH,
    REGISTRATION_PATH,
    RENEW_PATH,
    RENEW_TAG,
    ClaimRequest,
    Enrolled,
    EnrolRequest,
    RenewRequest,
)
from fleet.protocol.limits import MAX_ENROLMENT_BYTES

AnyRequest = Request[Any, Any, State]


class Nonce(msgspec.Struct, frozen=True):
    """16 bytes in hex, good for one signed request within five minutes; the hub's clock beside it."""

    nonce: str
    time_ms: int


class ClaimAnswer(msgspec.Struct, frozen=True):
    """`code` is for the screen, `ticket` (hex) for the enrolment that follows."""

    code: str
    ticket: str
    expires_ms: int


class RegistrationAnswer(msgspec.Struct, frozen=True):
    """The transaction's hash in hex."""

    hash: str


class InclusionAnswer(msgspec.Struct, frozen=True):
    """Leaf → root → transaction. Sums are decimal text, `path` goes from leaf to root, `record` is base64."""

    reward_epoch: int
    height: int
    tx_hash: str
    root: str
    count: int
    sum: str
    index: int
    leaf_sum: str
    record: str
    path: list[tuple[str, str]]


@get(NONCE_PATH, tags=["enrolment"], summary="A nonce for one signed request")
async def nonce(request: AnyRequest) -> Nonce:
    hub = _hub(request)
    return Nonce(hub.identity.nonces.issue().hex(), hub.desk.now_ms())


@post(ENROL_PATH, status_code=200, tags=["enrolment"], summary="Join with a token, or with a claim that was approved")
async def enrol(request: AnyRequest) -> Response[bytes]:
    """Body: COSE_Sign1 (dccn/enrol/v1) over `enr1`. Answer: COSE_Sign1 (dccn/enrolled/v1) by the command key."""
    hub, envelope = _hub(request), open_request(await request.body())
    body = EnrolRequest.from_body(envelope.body)
    check_request(envelope, body.identity, ENROL_TAG)

    def work() -> bytes:
        trust = hub.chain.trust()
        hub.identity.nonces.use(body.nonce)
        return _answer(hub, trust, do_enrol(hub.desk, hub.identity, body))

    return _cose(await asyncio.to_thread(work))


@post(CLAIM_PATH, status_code=200, tags=["enrolment"], summary="Ask for a code that a person types on the hub's page")
async def begin_claim(request: AnyRequest) -> ClaimAnswer:
    """Body: COSE_Sign1 (dccn/enrol/v1) over `clm1`."""
    hub, envelope = _hub(request), open_request(await request.body())
    body = ClaimRequest.from_body(envelope.body)
    check_request(envelope, body.identity, CLAIM_TAG)
    hub.identity.begin_attempts.note(_peer(request))

    def work() -> ClaimAnswer:
        hub.identity.nonces.use(body.nonce)
        claim = do_begin_claim(hub.desk, hub.identity, body.identity)
        return ClaimAnswer(claim.code, claim.ticket.hex(), claim.expires_ms)

    return await asyncio.to_thread(work)


@post(RENEW_PATH, status_code=200, tags=["enrolment"], summary="A new certificate, against the identity key")
async def renew(request: AnyRequest) -> Response[bytes]:
    """Body: COSE_Sign1 (dccn/renew/v1) over `ren1`. Answer as of enrolment."""
    hub, envelope = _hub(request), open_request(await request.body())
    body = RenewRequest.from_body(envelope.body)

    def work() -> bytes:
        with hub.desk.store.read() as connection:
            key = PublicKey.from_cose(cbor.decode(identity_of(connection, body.device)))
        check_request(envelope, key, RENEW_TAG)
        trust = hub.chain.trust()
        hub.identity.nonces.use(body.nonce)
        return _answer(hub, trust, do_renew(hub.desk, hub.identity, body.device, body.csr))

    return _cose(await asyncio.to_thread(work))


@post(REGISTRATION_PATH, status_code=200, tags=["chain"], summary="Let the hub pay for a device's registration")
async def register(request: AnyRequest) -> RegistrationAnswer:
    """Body: the canonical bytes of a device_register transaction with the hub as fee payer, its fee signature empty."""
    hub, raw = _hub(request), await request.body()
    tx_hash = await asyncio.to_thread(do_sponsor_registration, hub.desk, hub.chain, hub.identity.keys, raw)
    return RegistrationAnswer(tx_hash.hex())


@get(
    INCLUSION_PATH + "/{device:str}/{chain:str}/{seq:int}",
    tags=["chain"],
    summary="Where a work record is on the chain",
)
async def inclusion(
    request: AnyRequest,
    device: Annotated[str, Parameter(pattern="^[0-9a-f]{32}$", description="Topic id of the device.")],
    chain: Annotated[str, Parameter(pattern="^[0-9a-f]{32}$", description="Record chain, hex.")],
    seq: Annotated[int, Parameter(ge=0, le=2**63 - 1)],
) -> InclusionAnswer:
    hub = _hub(request)
    found = await asyncio.to_thread(hub.proofs.inclusion, device, bytes.fromhex(chain), seq)
    if found is None:
        raise Refused("record_pending", f"record {seq} of chain {chain} of device {device} is in no block yet")
    return InclusionAnswer(
        reward_epoch=found.reward_epoch,
        height=found.height,
        tx_hash=found.tx_hash.hex(),
        root=found.root.hex(),
        count=found.count,
        sum=str(found.total),
        index=found.index,
        leaf_sum=str(found.leaf_sum),
        record=base64.b64encode(found.record).decode(),
        path=[(node.hex(), str(total)) for node, total in found.path],
    )


@post(WIPE_PATH, status_code=204, tags=["decommission"], summary="A device's proof of wipe")
async def wiped(request: AnyRequest) -> None:
    """Body: COSE_Sign1 (dccn/wipe/v1) over `wipe1`, by the identity key."""
    hub, raw = _hub(request), await request.body()
    await asyncio.to_thread(do_note_wipe, hub.desk, raw, hub.chain.view().chain_id)


def device_app(hub: Hub) -> Litestar:
    """The ASGI application that devices talk to over HTTPS."""
    return Litestar(
        route_handlers=[
            nonce,
            enrol,
            begin_claim,
            renew,
            register,
            inclusion,
            begin,
            prove,
            release_file,
            accept,
            wiped,
        ],
        state=State({"hub": hub}),
        request_max_body_size=MAX_ENROLMENT_BYTES,
        exception_handlers=HANDLERS,
        before_send=[add_headers],
        openapi_config=OpenAPIConfig(
            title="dccn hub: devices", version="1", path="/schema", render_plugins=[JsonRenderPlugin()]
        ),
        logging_config=None,
    )


def _hub(request: AnyRequest) -> Hub:
    hub = request.app.state.hub
    assert isinstance(hub, Hub)
    return hub


def _peer(request: AnyRequest) -> str:
    return request.client.host if request.client else "?"


def _answer(hub: Hub, trust: ChainTrust, member: Member) -> bytes:
    keys = hub.identity.keys
    return hub.identity.sign_answer(
        Enrolled(
            certificate=member.issued.certificate,
            ca=hub.identity.authority.der,
            broker_host=hub.broker[0],
            broker_port=hub.broker[1],
            fleet=hub.identity.fleet,
            fleet_root=keys.fleet_root.public.cose(),
            command_certificate=hub.identity.command_certificate,
            chain_id=trust.chain_id,
            genesis_hash=trust.genesis_hash,
            trusted_height=trust.trusted_height,
            trusted_hash=trust.trusted_hash,
            rpc=list(trust.rpc),
            time_ms=hub.desk.now_ms(),
            start=sign_start(member.start, keys.command, trust.chain_id),
            sponsor=keys.account.public.cose(),
            transaction_fee=trust.transaction_fee,
            record_interval_ms=hub.settings.record_interval_ms,
            pog_profile=hub.settings.pog_profile,
        )
    )


def _cose(data: bytes) -> Response[bytes]:
    return Response(data, media_type=COSE_MEDIA_TYPE)
