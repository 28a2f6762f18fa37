"""The page and the admin API: plain HTTP on loopback. Reading is open to this machine, changing needs the secret."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import JSONBody, Parameter
from litestar.response import ServerSentEvent
from litestar.static_files import create_static_files_router
from sqlalchemy import select

from chain.errors import Refused
from chain.web.problems import HANDLERS
from fleet.hub.actions.decommission import do_ask_decommission
from fleet.hub.actions.enrolment import do_approve_claim, do_create_token
from fleet.hub.actions.updates import do_announce_update
from fleet.hub.api.acceptance_lines import AcceptanceLine, reports_of
from fleet.hub.api.context import Hub
from fleet.hub.api.live import LivePage
from fleet.hub.api.live import events as live_events
from fleet.hub.api.overview import DeviceLine, Overview, overview
from fleet.hub.api.security import add_headers, only_loopback_names
from fleet.hub.page.rendering import STATIC, Joining, Renderer
from fleet.hub.store.tables import devices, events
from fleet.protocol.enrolment import ca_pin
from fleet.protocol.limits import MAX_ADMIN_BYTES
from fleet.protocol.messages import Problem, Reported, decode
from fleet.protocol.topics import topic_id

AnyRequest = Request[Any, Any, State]


class ClaimTyped(msgspec.Struct, frozen=True):
    """A claim code as it stands on the device's screen."""

    code: str


class Claimed(msgspec.Struct, frozen=True):
    """The device that may join now: its topic id."""

    device: str


class TokenMade(msgspec.Struct, frozen=True):
    """A token for one device; `join` is the line to type on it."""

    token: str
    expires_ms: int
    join: str


class LookForUpdate(msgspec.Struct, frozen=True):
    """The machines to ask, by topic id; null: all."""

    devices: list[str] | None = None


class UpdateAnnounced(msgspec.Struct, frozen=True):
    """The machines that were asked; one that is off looks by itself when it is back."""

    devices: list[str]


class Audited(msgspec.Struct, frozen=True):
    """One line of the audit log; `event` is the typed event."""

    id: int
    event: msgspec.Raw


@get("/", include_in_schema=False, sync_to_thread=True)
def page(request: AnyRequest) -> Response[str]:
    hub = _hub(request)
    joining = Joining(
        device_url=hub.device_url,
        page_port=hub.ports.page,
        reachable=hub.settings.listen not in ("127.0.0.1", "::1", "localhost"),
        ca_pin=ca_pin(hub.identity.authority.spki).hex(),
    )
    html = _renderer(request).page(_overview(hub), joining)
    return Response(html, media_type="text/html; charset=utf-8")


@get("/live", include_in_schema=False)
async def live(request: AnyRequest) -> ServerSentEvent:
    return ServerSentEvent(request.app.state.live.stream())


@get("/api/stream", tags=["fleet"], summary="Every event as it happens (server-sent events)")
async def stream(request: AnyRequest) -> ServerSentEvent:
    return ServerSentEvent(live_events(_hub(request), request.app.state.live.closing))


@get("/health", tags=["hub"], summary="Whether the hub is up", sync_to_thread=False)
def health(request: AnyRequest) -> dict[str, Any]:
    hub = _hub(request)
    return {"ok": True, "fleet": hub.settings.fleet, "time_ms": hub.desk.now_ms()}


@get("/api/overview", tags=["fleet"], summary="Everything that the page shows", sync_to_thread=True)
def get_overview(request: AnyRequest) -> Overview:
    return _overview(_hub(request))


@get("/api/devices/{device:str}", tags=["fleet"], summary="One machine", sync_to_thread=True)
def get_device(
    request: AnyRequest, device: Annotated[str, Parameter(pattern="^[0-9a-f]{32}$", description="Topic id.")]
) -> DeviceLine:
    for line in _overview(_hub(request)).devices:
        if line.device == device:
            return line
    raise Refused("device_unknown", f"device {device} is not enrolled here")


@get("/api/devices/{device:str}/problems", tags=["fleet"], summary="What ails one machine", sync_to_thread=True)
def get_problems(
    request: AnyRequest, device: Annotated[str, Parameter(pattern="^[0-9a-f]{32}$", description="Topic id.")]
) -> list[Problem]:
    """As the machine's own doctor tells it: with what it tried, what comes next, and the last lines of the log."""
    with _hub(request).desk.store.read() as connection:
        row = connection.execute(select(devices.c.reported).where(devices.c.topic_id == device)).one_or_none()
    if row is None:
        raise Refused("device_unknown", f"device {device} is not enrolled here")
    return decode(row.reported.encode(), Reported).problems if row.reported else []


@get("/api/devices/{device:str}/acceptances", tags=["fleet"], summary="Its hardware tests", sync_to_thread=True)
def get_acceptances(
    request: AnyRequest, device: Annotated[str, Parameter(pattern="^[0-9a-f]{32}$", description="Topic id.")]
) -> list[AcceptanceLine]:
    """The newest first; `signed` is the envelope in base64, for whoever wants to verify it."""
    with _hub(request).desk.store.read() as connection:
        row = connection.execute(select(devices.c.device).where(devices.c.topic_id == device)).one_or_none()
        if row is None:
            raise Refused("device_unknown", f"device {device} is not enrolled here")
        return reports_of(connection, row.device)


@get("/api/events", tags=["fleet"], summary="The audit log, newest first", sync_to_thread=True)
def get_events(
    request: AnyRequest,
    before: Annotated[int | None, Parameter(ge=1, description="Only events with a lower id.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=500)] = 100,
) -> list[Audited]:
    query = select(events.c.id, events.c.body).order_by(events.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(events.c.id < before)
    with _hub(request).desk.store.read() as connection:
        return [Audited(row.id, msgspec.Raw(row.body.encode())) for row in connection.execute(query)]


@post("/api/claims", status_code=200, tags=["admin"], summary="Let the device in that shows this code")
async def approve_claim(request: AnyRequest, data: JSONBody[ClaimTyped]) -> Claimed:
    hub = _hub(request)
    peer = request.client.host if request.client else "?"
    hub.identity.claim_attempts.note(peer)
    hub.identity.admin.check(request.headers.get("authorization"))
    device = await asyncio.to_thread(do_approve_claim, hub.desk, data.code)
    hub.identity.claim_attempts.forgive(peer)
    return Claimed(topic_id(device))


@post("/api/tokens", status_code=201, tags=["admin"], summary="Make an enrolment token for one device")
async def create_token(request: AnyRequest) -> TokenMade:
    hub = _hub(request)
    hub.identity.admin.check(request.headers.get("authorization"))
    token, expires_ms = await asyncio.to_thread(do_create_token, hub.desk, hub.identity)
    return TokenMade(token.text, expires_ms, f"dccn agent run --hub {hub.device_url} --token {token.text}")


@post("/api/updates", status_code=200, tags=["admin"], summary="Ask machines to look for a release now")
async def announce_update(request: AnyRequest, data: JSONBody[LookForUpdate]) -> UpdateAnnounced:
    hub = _hub(request)
    hub.identity.admin.check(request.headers.get("authorization"))
    return UpdateAnnounced(await asyncio.to_thread(do_announce_update, hub.desk, hub.commands, data.devices))


@post("/api/devices/{device:str}/decommission", status_code=202, tags=["admin"], summary="End a machine's life here")
async def decommission(
    request: AnyRequest, device: Annotated[str, Parameter(pattern="^[0-9a-f]{32}$", description="Topic id.")]
) -> DeviceLine:
    """The machine is told at once, or when it comes back; it leaves the chain, signs its proof of wipe, and wipes."""
    hub = _hub(request)
    hub.identity.admin.check(request.headers.get("authorization"))
    await asyncio.to_thread(do_ask_decommission, hub.desk, hub.identity, device)
    lines = await asyncio.to_thread(_overview, hub)
    return next(line for line in lines.devices if line.device == device)


def page_app(hub: Hub) -> Litestar:
    """The ASGI application for people on this machine; `app.state.live.closing` ends its streams."""
    renderer = Renderer()
    handlers = [
        page,
        live,
        stream,
        health,
        get_overview,
        get_device,
        decommission,
        get_problems,
        get_acceptances,
        get_events,
        approve_claim,
        create_token,
        announce_update,
    ]
    return Litestar(
        route_handlers=[*handlers, create_static_files_router("/static", [STATIC], include_in_schema=False)],
        state=State({"hub": hub, "renderer": renderer, "live": LivePage(hub, renderer)}),
        request_max_body_size=MAX_ADMIN_BYTES,
        exception_handlers=HANDLERS,
        before_request=only_loopback_names,
        before_send=[add_headers],
        openapi_config=OpenAPIConfig(
            title="dccn hub", version="1", path="/schema", render_plugins=[JsonRenderPlugin()]
        ),
        logging_config=None,
    )


def _hub(request: AnyRequest) -> Hub:
    hub = request.app.state.hub
    assert isinstance(hub, Hub)
    return hub


def _renderer(request: AnyRequest) -> Renderer:
    renderer = request.app.state.renderer
    assert isinstance(renderer, Renderer)
    return renderer


def _overview(hub: Hub) -> Overview:
    return overview(hub.desk.store, hub.board, hub.chain.view(), hub.settings.fleet, hub.desk.now_ms())
