"""Telling machines that there may be a release for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select

from chain.errors import Refused
from fleet.hub.actions.desk import Desk
from fleet.hub.actions.events import UpdateAnnounced
from fleet.hub.ports import CommandPort
from fleet.hub.store.tables import devices
from fleet.protocol.topics import COMMAND_UPDATE
from fleet.protocol.updates import LOOK

VALID_MS: Final = 3_600_000


def do_announce_update(desk: Desk, commands: CommandPort, wanted: Sequence[str] | None) -> list[str]:
    """Ask the enrolled devices with these topic ids (None: all) to look for a release; returns those that were sent it.

    Raises Refused `device_unknown` when one of them is not enrolled, and then sends nothing; Unavailable `unreachable`
    while the hub does not know its chain yet. One that is off looks by itself when it is back.
    """
    with desk.store.read() as connection:
        known = {row.topic_id: row.device for row in connection.execute(select(devices.c.topic_id, devices.c.device))}
    missing = sorted(set(wanted or ()) - known.keys())
    if missing:
        raise Refused("device_unknown", f"asking {', '.join(missing)[:300]} to look for a release: not enrolled here")
    chosen = sorted(known if wanted is None else set(wanted))
    sent = [each for each in chosen if commands.send(COMMAND_UPDATE, known[each], LOOK, [], VALID_MS)]
    with desk.change() as change:
        change.emit(UpdateAnnounced(at_ms=change.at_ms, devices=len(sent)))
    return sent
