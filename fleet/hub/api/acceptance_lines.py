"""Reports of hardware tests as the admin API lists them."""

from __future__ import annotations

import base64

import msgspec
from sqlalchemy import Connection, select

from chain.wire import cose
from fleet.hub.store.tables import acceptances
from fleet.protocol.acceptance import MAX_REPORT_BYTES, Acceptance


class ResultLine(msgspec.Struct, frozen=True, kw_only=True):
    """One test; `said` is why it failed or was left out."""

    test: str
    outcome: str
    said: str
    milliseconds: int


class AcceptanceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One report; times by the device's clock, but for `received_ms`."""

    profile: str
    level: str
    started_ms: int
    ended_ms: int
    received_ms: int
    is_passed: bool
    results: list[ResultLine]
    signed: str


def reports_of(connection: Connection, device: bytes) -> list[AcceptanceLine]:
    """All that are kept of a device (32-byte id), the newest first."""
    query = select(acceptances).where(acceptances.c.device == device).order_by(acceptances.c.id.desc())
    return [_line(row.raw, row.received_ms) for row in connection.execute(query)]


def _line(raw: bytes, received_ms: int) -> AcceptanceLine:
    report = Acceptance.from_body(cose.open_envelope(raw, MAX_REPORT_BYTES).body)
    results = [
        ResultLine(test=each.test, outcome=each.outcome, said=each.said, milliseconds=each.milliseconds)
        for each in report.results
    ]
    return AcceptanceLine(
        profile=report.profile,
        level=report.level,
        started_ms=report.started_ms,
        ended_ms=report.ended_ms,
        received_ms=received_ms,
        is_passed=report.is_passed,
        results=results,
        signed=base64.b64encode(raw).decode(),
    )
