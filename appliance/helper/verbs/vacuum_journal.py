"""vacuum-journal: remove the system's older logs, to make room."""

from __future__ import annotations

from typing import Final

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Nothing, Verb


def _do(_arguments: Nothing, machine: Machine) -> dict[str, object]:
    machine.run("systemctl", "start", "dccn-vacuum-journal.service")
    return {}


VERB: Final = Verb("vacuum-journal", Nothing, _do, per_hour=6, callers=frozenset({Caller.root, Caller.doctor}))
