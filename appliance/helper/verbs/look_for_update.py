"""look-for-update: let the updater look now, not at its next hour."""

from __future__ import annotations

from typing import Final

from appliance.helper.machine import Machine
from appliance.helper.verb import Nothing, Verb

UNIT: Final = "dccn-updates.service"


def _do(_arguments: Nothing, machine: Machine) -> dict[str, object]:
    # SIGUSR1 is the updater's sign to look; a dead one is started, and looks when it starts.
    machine.run("systemctl", "start", UNIT)
    machine.run("systemctl", "kill", "--signal=SIGUSR1", "--kill-who=main", UNIT)
    return {}


VERB: Final = Verb("look-for-update", Nothing, _do, per_hour=12)
