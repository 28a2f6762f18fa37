"""Reports of hardware tests: who brought which, checked before it comes here."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, insert, select

from fleet.hub.actions.desk import Desk
from fleet.hub.actions.events import AcceptanceReported
from fleet.hub.store.tables import acceptances
from fleet.protocol.acceptance import Acceptance
from fleet.protocol.topics import topic_id

KEPT: Final = 20
"""Reports of one device; the oldest go."""


def do_note_acceptance(desk: Desk, report: Acceptance, raw: bytes) -> None:
    """Store a report whose signature was verified; `raw` is the envelope, so that anybody can verify it again."""
    counts = report.counts
    with desk.change() as change:
        change.connection.execute(
            insert(acceptances).values(
                device=report.device,
                received_ms=change.at_ms,
                ended_ms=report.ended_ms,
                profile=report.profile,
                level=report.level,
                is_passed=report.is_passed,
                raw=raw,
                **counts,
            )
        )
        mine = acceptances.c.device == report.device
        kept = select(acceptances.c.id).where(mine).order_by(acceptances.c.id.desc()).limit(KEPT)
        change.connection.execute(delete(acceptances).where(mine, acceptances.c.id.not_in(kept)))
        change.emit(
            AcceptanceReported(
                at_ms=change.at_ms,
                device=topic_id(report.device),
                profile=report.profile,
                level=report.level,
                is_passed=report.is_passed,
                **counts,
            )
        )
